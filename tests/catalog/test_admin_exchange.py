"""The catalogue as a file, out and back in."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import timedelta

import openpyxl
import pytest
import tablib
from django.contrib.admin.models import LogEntry
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from catalog.admin.exchange_files import NUMBER, defused, restored
from catalog.admin.exchange_rows import resource_of
from catalog.models import AddOn, Plan, Price, TokenBundle
from catalog.money import Money
from catalog.services import prices
from tests.catalog.desk import list_of, prices_of, signed_in
from tests.factories import AddOnFactory, PlanFactory, TokenBundleFactory

EVERY_KIND = pytest.mark.parametrize("factory", [PlanFactory, TokenBundleFactory, AddOnFactory])
CSV, XLSX = "0", "1"
GOOD = {  # cells of a row that nothing is wrong with
    "billing_period": "yearly",
    "features": "[]",
    "default_currency": "EUR",
    "is_active": "no",
    "sort_order": "3",
    "trial_days": "14",
    "is_trial_paid": "no",
    "arrival": "prorated",
    "setup fee USD": "1",
    "setup fee EUR": "",
}
EVERY_FORMAT = pytest.mark.parametrize("form", [CSV, XLSX])


def address(model, name):
    return reverse(f"admin:catalog_{model._meta.model_name}_{name}")


def export(client, model, form=CSV, query=""):
    answer = client.post(address(model, "export") + query, {"format": form, "resource": "0"})
    assert answer.status_code == 200, answer
    assert "attachment" in answer["Content-Disposition"], answer.content
    return answer.content


def table(content):
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def written(*rows):
    """A CSV of these."""
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()


def sheet(*rows):
    """An XLSX of these."""
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def look(client, model, content, form=CSV):
    """The page that says what the file would do."""
    file = SimpleUploadedFile("catalogue", content)
    return client.post(
        address(model, "import"), {"import_file": file, "format": form, "resource": "0"}
    )


def say_yes(client, model, page, **typed):
    sent = {field.name: field.value() for field in page.context["confirm_form"]}
    return client.post(address(model, "process_import"), sent | typed, follow=True)


def bring_in(client, model, content, form=CSV):
    page = look(client, model, content, form)
    assert "confirm_form" in page.context, faults(page)
    return say_yes(client, model, page)


def faults(page):
    found = [" ".join(map(str, error)) for error in page.context["form"].errors.values()]
    result = page.context.get("result")
    if result is not None:
        found += [" ".join(fault.error.messages) for fault in result.base_errors]
        found += [f"{n} {column}: {' '.join(said)}" for n, column, said in page.context["faults"]]
    return " | ".join(found)


def everything():
    """All rows of the catalogue, to the last column."""
    return [
        list(model.objects.order_by("pk").values()) for model in (Plan, TokenBundle, AddOn, Price)
    ]


def messages(page):
    return [str(message) for message in page.context["messages"]]


@pytest.mark.django_db
class TestExport:
    def test_has_a_column_for_each_currency(self, staff):
        prices = {"USD": ("29", "10.50"), "JPY": "2900"}
        PlanFactory(name="Pro", slug="pro", features=["Ten"], trial_days=14, prices=prices)
        PlanFactory(name="Solo", slug="solo", is_active=False, prices={"USD": "9.50"})

        pro, solo = table(export(staff, Plan))

        assert pro == {
            "slug": "pro",
            "name": "Pro",
            "description": "",
            "billing_period": "monthly",
            "features": '["Ten"]',
            "trial_days": "14",
            "is_trial_paid": "no",
            "arrival": "prorated",
            "default_currency": "USD",
            "is_active": "yes",
            "sort_order": "0",
            "price JPY": "2900",
            "setup fee JPY": "0",
            "price USD": "29.00",
            "setup fee USD": "10.50",
        }
        assert (solo["price JPY"], solo["price USD"], solo["is_active"]) == ("", "9.50", "no")

    def test_names_the_plans_of_an_add_on(self, staff):
        AddOnFactory(plans=[PlanFactory(slug="pro"), PlanFactory(slug="lite")])

        assert table(export(staff, AddOn))[0]["plans"] == "lite pro"

    def test_has_no_fees_of_bundles(self, staff):
        TokenBundleFactory()

        assert not [name for name in table(export(staff, TokenBundle))[0] if "fee" in name]

    def test_has_the_prices_of_an_xlsx_as_numbers(self, staff):
        PlanFactory(slug="pro")

        book = openpyxl.load_workbook(io.BytesIO(export(staff, Plan, XLSX)))

        heading, pro = ([cell.value for cell in row] for row in book.active.iter_rows())
        assert dict(zip(heading, pro, strict=True))["price USD"] == 29

    def test_has_what_the_list_was_narrowed_down_to(self, staff):
        PlanFactory(slug="pro")
        PlanFactory(slug="old", is_active=False)

        rows = table(export(staff, Plan, query="?is_active__exact=1"))

        assert [row["slug"] for row in rows] == ["pro"]

    def test_asks_for_the_format(self, staff):
        page = staff.get(address(Plan, "export"))

        assert page.status_code == 200
        assert "one column for the price in each currency" in page.content.decode()

    def test_refuses_a_filter_that_there_is_none_of(self, staff):
        assert staff.get(address(Plan, "export") + "?is_active__exact=x").status_code == 400

    def test_says_what_an_xlsx_cannot_hold(self, staff):
        PlanFactory(name="Pro \x01")

        page = staff.post(address(Plan, "export"), {"format": XLSX, "resource": "0"})

        assert "take CSV" in messages(page)[0]

    @EVERY_KIND
    @pytest.mark.parametrize("size", [1, 12])
    def test_costs_the_same_whatever_the_number_of_rows(
        self, staff, factory, size, django_assert_num_queries
    ):
        made = factory.create_batch(size, prices={"USD": "29.00", "EUR": "27.00"})
        model = type(made[0])

        # session, user, second factor, currencies, count, rows, prices; add-ons: plans, and filter
        with django_assert_num_queries(10 if model is AddOn else 8):
            assert len(table(export(staff, model))) == size


class TestDefused:
    @pytest.mark.parametrize(
        "text", ["=1+1", "+1", "-1", "@x", "＝1", "\t=1", "'=1", "''+", "'tis", "", "'"]
    )
    def test_comes_back_as_it_was(self, text):
        assert restored(defused(text)) == text

    @pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "＝1", "\t=1", "\r=1", "'=1"])
    def test_is_no_formula(self, text):
        assert defused(text) == f"'{text}"

    def test_lets_plain_text_be(self):
        assert defused("'tis plain") == "'tis plain"
        assert restored("'tis plain") == "'tis plain"


@pytest.mark.django_db
class TestRoundTrip:
    @EVERY_KIND
    @EVERY_FORMAT
    def test_changes_nothing(self, staff, factory, form):
        factory(name="Plain", prices={"USD": "29.00", "KWD": "2.905", "JPY": "2900"})
        factory(name='=HYPERLINK("x")', description='-1\r\n@two, "three"; \'four', prices={})
        factory(name="'=quoted", description=" spaces ", sort_order=-7, is_active=False)
        factory(name="500", description="007", is_active=False, archived_at=timezone.now())
        model = factory._meta.model
        if model is Plan:
            PlanFactory(features={"seats": 10, "größe": [1.5, None, True, "=1"]})
        if model is AddOn:
            AddOnFactory(plans=PlanFactory.create_batch(2), config={"a": {"b": []}})
        before = everything()

        done = bring_in(staff, model, export(staff, model, form), form)

        count = model.objects.count()
        assert messages(done) == [f"Imported: 0 new, 0 changed, {count} as before."]
        assert everything() == before

    @EVERY_FORMAT
    def test_makes_the_same_again_where_it_is_gone(self, staff, form):
        prices = {"USD": ("29", "10.50"), "JPY": "2900"}
        PlanFactory(
            name="=Pro",
            slug="pro",
            features=["@x"],
            trial_days=14,
            is_trial_paid=True,
            arrival="full_price",
            prices=prices,
        )
        file = export(staff, Plan, form)
        Plan.objects.all().delete()

        bring_in(staff, Plan, file, form)

        plan = Plan.objects.get()
        assert (plan.name, plan.slug, plan.features) == ("=Pro", "pro", ["@x"])
        assert (plan.trial_days, plan.is_trial_paid, plan.arrival) == (14, True, "full_price")
        assert prices_of(plan) == ["2900 JPY", "29.00 USD"]
        assert str(plan.prices.get(currency="USD").fee) == "10.50"


@pytest.mark.django_db
class TestImport:
    def test_shows_what_it_would_do_and_writes_nothing(self, staff):
        PlanFactory(slug="pro", name="Pro")
        before = everything()

        page = look(
            staff,
            Plan,
            written(["slug", "name", "price USD"], ["pro", "Pro 2", "35"], ["new", "New", "9.50"]),
        )

        changed, made = page.context["changed_rows"]
        assert [(one.column, one.old, one.new) for one in changed.changes] == [
            ("name", "Pro", "Pro 2"),
            ("price USD", "$29.00", "$35.00"),
        ]
        assert (made.object_repr, made.is_new()) == ("New", True)
        text = page.content.decode()
        assert "1 new" in text
        assert "$35.00" in text
        assert everything() == before

    def test_of_a_fee_alone_is_another_price_of_the_same_amount(self, staff):
        plan = PlanFactory(slug="pro", prices={"USD": "29.00"})
        file = written(["slug", "setup fee USD"], ["pro", "10.50"])

        page = look(staff, Plan, file)
        say_yes(staff, Plan, page)

        (row,) = page.context["changed_rows"]
        changes = [(one.column, one.old, one.new) for one in row.changes]
        assert changes == [("setup fee USD", "$0.00", "$10.50")]
        old, new = plan.prices.order_by("valid_from")
        assert (str(old.fee), old.valid_until) == ("0.00", new.valid_from)
        assert (str(new.money), str(new.fee)) == ("29.00", "10.50")

    def test_of_a_price_alone_keeps_its_fee(self, staff):
        plan = PlanFactory(slug="pro", prices={"USD": ("29.00", "10.50")})

        bring_in(staff, Plan, written(["slug", "price USD"], ["pro", "35"]))

        new = plan.prices.get(valid_until=None)
        assert (str(new.money), str(new.fee)) == ("35.00", "10.50")

    def test_does_it_once_somebody_says_yes(self, staff):
        plan = PlanFactory(slug="pro", name="Pro", prices={"USD": "29", "EUR": "27"})
        old = plan.prices.get(currency="USD")
        file = written(
            ["slug", "name", "price USD", "price EUR"],
            ["pro", "Pro 2", "35", ""],
            ["new", "New", "9", ""],
        )

        done = bring_in(staff, Plan, file)

        assert messages(done) == ["Imported: 1 new, 1 changed, 0 as before."]
        plan.refresh_from_db()
        assert plan.name == "Pro 2"
        assert prices_of(plan) == ["27.00 EUR", "35.00 USD"]
        old.refresh_from_db()
        assert (str(old.money), old.valid_until is None) == ("29.00", False)
        new = Plan.objects.get(slug="new")
        assert prices_of(new) == ["9.00 USD"]
        told = LogEntry.objects.order_by("pk").values_list("object_repr", flat=True)
        assert list(told) == ["Pro 2", "New"]

    def test_matches_bundles_by_id(self, staff):
        bundle = TokenBundleFactory(name="500 tokens")
        file = written(
            ["id", "name", "token_amount", "price USD"],
            [str(bundle.pk).upper(), "600 tokens", "600", "29"],
            ["", "New", "10", "1"],
        )

        bring_in(staff, TokenBundle, file)

        found = TokenBundle.objects.order_by("token_amount").values_list("name", "token_amount")
        assert list(found) == [("New", 10), ("600 tokens", 600)]

    def test_binds_add_ons_to_plans(self, staff):
        lite, pro = PlanFactory(slug="lite"), PlanFactory(slug="pro")
        add_on = AddOnFactory(slug="support", plans=[lite])

        bring_in(staff, AddOn, written(["slug", "plans"], ["support", "pro, lite"]))
        assert set(add_on.plans.all()) == {lite, pro}

        bring_in(staff, AddOn, written(["slug", "plans"], ["support", ""]))
        assert not add_on.plans.exists()

    def test_says_which_scheduled_price_is_taken_back(self, staff):
        plan = PlanFactory(slug="pro")
        now = timezone.now()
        prices.set_price(
            item=plan, money=Money.parse("39", "USD"), now=now, valid_from=now + timedelta(days=9)
        )

        page = look(staff, Plan, written(["slug", "price USD"], ["pro", "35"]))

        assert "$39.00, which is scheduled, is taken back." in page.content.decode()

    def test_reads_semicolons_too(self, staff):
        plan = PlanFactory(slug="pro")

        bring_in(staff, Plan, "\ufeffslug;name;sort_order\r\npro;Größe, neu;3\r\n".encode())

        plan.refresh_from_db()
        assert (plan.name, plan.sort_order) == ("Größe, neu", 3)

    def test_reads_the_numbers_and_boxes_of_a_spreadsheet(self, staff):
        plan = PlanFactory(slug="pro")
        file = sheet(
            ["slug", "name", "sort_order", "is_active", "price USD"], ["pro", 500, 3.0, False, 31.5]
        )

        bring_in(staff, Plan, file, XLSX)

        plan.refresh_from_db()
        assert (plan.name, plan.sort_order, plan.is_active) == ("500", 3, False)
        assert prices_of(plan) == ["31.50 USD"]

    def test_counts_rows_as_the_spreadsheet_does(self, staff):
        file = written(["slug", "name", "price USD"], [], ["a", "A", "1"], [], ["b", "", "1"])

        assert faults(look(staff, Plan, file)).startswith("5 name")

    def test_asks_again_when_the_catalogue_has_changed_since(self, staff):
        plan = PlanFactory(slug="pro")
        page = look(staff, Plan, written(["slug", "price USD"], ["pro", "35"]))
        prices.set_price(item=plan, money=Money.parse("31", "USD"), now=timezone.now())

        done = say_yes(staff, Plan, page)

        assert "nothing is imported" in messages(done)[0]
        assert prices_of(plan) == ["31.00 USD"]

    def test_asks_again_when_the_file_is_refused_by_then(self, staff):
        page = look(
            staff, AddOn, written(["slug", "name", "price USD"], ["a", "A", "1"], ["b", "B", "1"])
        )
        AddOnFactory(slug="b", is_active=False, archived_at=timezone.now())

        done = say_yes(staff, AddOn, page)

        assert "nothing is imported" in messages(done)[0]
        assert [one.slug for one in AddOn.objects.all()] == ["b"]


@pytest.mark.django_db
class TestResource:
    def test_imports_nothing_where_one_row_is_refused(self):
        rows = tablib.Dataset(headers=["slug", "name", "price USD", NUMBER])
        rows.append(["good", "Good", "29", "2"])
        rows.append(["bad", "", "29", "3"])

        result = resource_of(Plan)().import_data(rows, dry_run=False)

        assert [row.number for row in result if row.is_invalid()] == ["3"]
        assert not Plan.objects.exists()

    def test_raises_what_is_a_fault_of_ours(self):
        """It is no row's: a page that told it as one would hide it."""
        rows = tablib.Dataset(headers=["slug", NUMBER])
        rows.append([None, "2"])

        with pytest.raises(AttributeError):
            resource_of(Plan)().import_data(rows, dry_run=False)


@pytest.mark.django_db
class TestHistory:
    def test_tells_who_changed_an_item_by_a_file(self, staff):
        plan = PlanFactory(slug="pro", name="Pro")

        bring_in(staff, Plan, written(["slug", "name"], ["pro", "Pro 2"]))

        row = plan.history.order_by("-pgh_id").first()
        assert row.name == "Pro"
        assert row.pgh_context.metadata["user"] == str(User.objects.get(is_superuser=True).pk)


@pytest.mark.django_db
class TestRefusal:
    @pytest.mark.parametrize(
        ("heading", "row", "message"),
        [
            ("name", "", "3 name: This field is required"),
            ("name", "x" * 101, "3 name: Ensure this value has at most 100"),
            ("slug", "no spaces", "3 slug: Enter a valid"),
            ("slug", "addons", "address of the API"),
            ("slug", "", "3 slug: Without it"),
            ("slug", "pro", "3 slug: Row 2 is about the same one"),
            ("billing_period", "daily", "3 billing_period: Select a valid"),
            ("features", "{", "3 features: Enter a valid JSON"),
            ("features", "[" * 21 + "]" * 21, "20 levels"),
            ("default_currency", "DEM", "3 default_currency: Select a valid"),
            ("is_active", "maybe", "3 is_active: Write yes or no"),
            ("sort_order", "9" * 20, "3 sort_order: Ensure this value is less"),
            ("sort_order", "x", "3 sort_order: Enter a whole number"),
            ("price USD", "29,00", "3 price USD: The amount"),
            ("price USD", "29.001", "USD has 2"),
            ("price USD", "-1", "cannot be negative"),
            ("price USD", "1e5", "not a decimal number"),
            ("price USD", "9" * 30, "price USD"),
            ("price USD", "", "3 price: A new one has a price"),
            ("setup fee USD", "-1", "3 setup fee USD: A setup fee cannot be negative"),
            ("setup fee USD", "1.001", "USD has 2"),
            ("setup fee EUR", "1", "3 setup fee EUR: There is no price in this currency"),
            ("trial_days", "367", "3 trial_days: Ensure this value is less"),
            ("trial_days", "-1", "3 trial_days: Ensure this value is greater"),
            ("is_trial_paid", "maybe", "3 is_trial_paid: Write yes or no"),
            ("arrival", "later", "3 arrival: Select a valid"),
        ],
    )
    def test_says_what_is_wrong_in_which_row_and_imports_none(self, staff, heading, row, message):
        values = {"slug": "new", "name": "New", "price USD": "1"} | {heading: row}
        PlanFactory(slug="pro", name="Pro")
        good = {"slug": "pro", "name": "Other", "price USD": "5", **GOOD}
        columns = list(values)
        file = written(columns, [good[column] for column in columns], list(values.values()))
        before = everything()

        page = look(staff, Plan, file)

        assert message in faults(page)
        assert "confirm_form" not in page.context
        assert everything() == before

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("slug,name\nx,Größe\n".encode("cp1252"), "no text in UTF-8"),
            ("slug,name\nx,y\n".encode("utf-16"), "no text in UTF-8"),
            (b"PK\x03\x04\xff\xfe", "no text in UTF-8"),
            (b"", "submitted file is empty"),
            (b"\n\n", "no rows"),
            (b"slug,name\n", "no rows"),
            (b"slug,name\n\n,\n", "no rows"),
            (b"slug,,name\nx,y,z\n", "A column has no name"),
            (b"slug,name,name\nx,y,z\n", "there twice: name"),
            (b"slug,#\nx,y\n", "there twice: #"),
            (b"slug\nx,y\n", "more cells than"),
            (b"name\nx\n", "There is no column “slug”"),
            (b"slug,colour\nx,red\n", "unknown: colour"),
            (b"slug,price DEM\nx,1\n", "unknown: price DEM"),
            (b"slug,archived_at\nx,1\n", "unknown: archived_at"),
            (b"slug,name\nx,y\0\n", "has a NUL"),
            (b'slug,name\nx,"y\n', "no CSV"),
            (b"slug,name\nx," + b"y" * 200_000 + b"\n", "no CSV"),
            (b"slug\n" + b"x\n" * 501, "more than 500 rows"),
            (b",".join(b"c%d" % n for n in range(300)) + b"\nx\n", "more than 200 columns"),
            (b"x" * (512 * 1024 + 1), "at most 512 KiB"),
        ],
    )
    def test_says_what_is_wrong_with_the_file(self, staff, content, message):
        page = look(staff, Plan, content)

        assert page.status_code == 200
        assert message in faults(page)
        assert "confirm_form" not in page.context

    def test_reads_no_other_file_as_xlsx(self, staff):
        assert "no XLSX" in faults(look(staff, Plan, b"slug,name\nx,y\n", XLSX))

    def test_reads_no_damaged_xlsx(self, staff):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("[Content_Types].xml", "<broken")

        assert "cannot be read" in faults(look(staff, Plan, out.getvalue(), XLSX))

    def test_reads_no_xlsx_that_is_huge_unpacked(self, staff):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("xl/workbook.xml", b"0" * (21 * 1024 * 1024))

        assert "too large" in faults(look(staff, Plan, out.getvalue(), XLSX))

    @pytest.mark.parametrize(
        ("cell", "message"),
        [
            ("=1+1", "Cell B2 is a formula"),
            (timezone.now().replace(tzinfo=None), "Cell B2 is neither"),
        ],
    )
    def test_reads_no_formula_and_no_date(self, staff, cell, message):
        file = sheet(["slug", "name"], ["pro", cell])

        assert message in faults(look(staff, Plan, file, XLSX))

    def test_knows_no_bundle_of_another_id(self, staff):
        file = written(["id", "name"], ["01890000-0000-7000-8000-000000000000", "A"], ["x", "B"])

        page = look(staff, TokenBundle, file)

        assert faults(page).count("There is no bundle of this id") == 2

    def test_puts_nothing_archived_on_sale(self, staff):
        PlanFactory(slug="old", is_active=False, archived_at=timezone.now())

        page = look(staff, Plan, written(["slug", "is_active"], ["old", "yes"]))

        assert "is archived" in faults(page)

    def test_binds_to_no_plan_that_is_not_there(self, staff):
        AddOnFactory(slug="support")

        page = look(staff, AddOn, written(["slug", "plans"], ["support", "nowhere"]))

        assert "2 plans: Select a valid choice" in faults(page)

    @pytest.mark.parametrize(
        "typed",
        [
            {"import_file_name": "../../etc/passwd"},
            {"import_file_name": "nonsense:signature:x"},
            {"format": "7"},
            {"format": "-1"},
            {"resource": "7"},
            {"shown": ""},
            {"shown": "of something else"},
        ],
    )
    def test_says_yes_to_nothing_that_was_not_shown(self, staff, typed):
        page = look(staff, Plan, written(["slug", "name", "price USD"], ["pro", "Pro", "29"]))

        done = say_yes(staff, Plan, page, **typed)

        assert done.status_code == 200
        assert not Plan.objects.exists()

    def test_asks_again_after_an_hour(self, staff, time_machine):
        page = look(staff, Plan, written(["slug", "name", "price USD"], ["pro", "Pro", "29"]))
        time_machine.move_to(timezone.now() + timedelta(minutes=61))

        done = say_yes(staff, Plan, page)

        assert messages(done) == ["That was too long ago: choose the file once more."]
        assert not Plan.objects.exists()


@pytest.mark.django_db
class TestPermissions:
    def test_who_may_look_exports_and_imports_nothing(self, viewer, staff):
        PlanFactory(slug="pro")
        page = look(staff, Plan, written(["slug", "name"], ["pro", "Other"]))

        assert len(table(export(viewer, Plan))) == 1
        assert viewer.get(address(Plan, "import")).status_code == 403
        assert look(viewer, Plan, b"slug\npro\n").status_code == 403
        assert say_yes(viewer, Plan, page).status_code == 403

        assert Plan.objects.get().name != "Other"
        text = viewer.get(list_of(Plan)).content.decode()
        assert address(Plan, "export") in text
        assert address(Plan, "import") not in text

    @pytest.mark.parametrize("right", ["add_plan", "change_plan"])
    def test_one_of_the_two_rights_is_not_enough(self, right):
        client = signed_in("view_plan", right)

        assert client.get(address(Plan, "import")).status_code == 403

    def test_both_are(self):
        client = signed_in("view_plan", "add_plan", "change_plan")

        assert client.get(address(Plan, "import")).status_code == 200

    def test_who_may_not_look_exports_nothing(self):
        client = signed_in("view_addon")

        assert client.get(address(Plan, "export")).status_code == 403
        assert client.post(address(Plan, "export"), {"format": CSV}).status_code == 403


@pytest.mark.django_db(transaction=True)
class TestLock:
    def test_waits_for_whoever_holds_an_item_of_the_file(self, staff, held_by_another):
        plan = PlanFactory(slug="pro", name="Pro")
        file = written(["slug", "name"], ["pro", "Pro"])  # changes nothing: locks nothing later

        with held_by_another(plan), pytest.raises(OperationalError, match="lock timeout"):
            look(staff, Plan, file)
