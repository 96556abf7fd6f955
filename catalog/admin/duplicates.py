"""What is asked before an item is duplicated."""

from __future__ import annotations

from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminTextInputWidget

from catalog.models import Item
from catalog.services import editing


class DuplicateForm(forms.Form):
    """The new name, and of what has one the new slug: both are proposed."""

    name = forms.CharField(
        max_length=100, widget=UnfoldAdminTextInputWidget(attrs={"autofocus": True})
    )
    slug = forms.SlugField(max_length=100, widget=UnfoldAdminTextInputWidget)

    def __init__(self, *args: Any, item: Item, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.item: Any = item
        self.initial["name"] = f"{item.name[:90]} (copy)"
        if hasattr(item, "slug"):
            self.initial["slug"] = editing.slug_for_copy(kind=type(self.item), slug=self.item.slug)
        else:
            del self.fields["slug"]

    def clean_slug(self) -> str:
        slug = self.cleaned_data["slug"]
        if slug in editing.TAKEN_BY_THE_API:
            raise forms.ValidationError(f"“{slug}” is an address of the API: choose another slug.")
        if type(self.item).objects.filter(slug=slug).exists():
            raise forms.ValidationError(f"“{slug}” is taken: choose another slug.")
        return slug
