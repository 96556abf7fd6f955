"""What is wrong with a page at a glance, for whoever cannot see it, and on a narrow screen."""

from __future__ import annotations

from playwright.sync_api import Error, Locator, Page

# Each finds elements, and says what is wrong with them. Only what is shown counts: a menu that is
# folded away is looked at when it is open.
_FAULTS = """
() => {
    const shown = (element) => element.checkVisibility({visibilityProperty: true});
    const all = (selector) => [...document.querySelectorAll(selector)].filter(shown);
    const described = (element) => element.outerHTML.replace(/\\s+/g, " ").slice(0, 160);
    const text = (id) => document.getElementById(id)?.textContent ?? "";
    const named = (element) => [
        element.getAttribute("aria-label"),
        (element.getAttribute("aria-labelledby") ?? "").split(" ").map(text).join(""),
        [...(element.labels ?? [])].map((label) => label.textContent).join(""),
        element.title,
    ].some((name) => name?.trim());
    const written = (element) => {
        const copy = element.cloneNode(true);
        copy.querySelectorAll("[aria-hidden=true], .material-symbols-outlined")
            .forEach((part) => part.remove());
        const images = [...copy.querySelectorAll("img")].map((image) => image.alt).join("");
        return (copy.textContent + images).trim() || element.value;
    };
    const faults = [];
    const add = (what, elements) =>
        elements.forEach((element) => faults.push(`${what}: ${described(element)}`));

    const fields = "input:not([type=hidden], [type=submit], [type=button]), select, textarea";
    add("no label", all(fields).filter((field) => !named(field)));
    add("no alt", all("img:not([alt])"));
    add("no name", all("a[href], button").filter((one) => !named(one) && !written(one)));
    add("id is there twice", [...document.querySelectorAll("[id]")].filter(
        (one) => document.getElementById(one.id) !== one));
    const headings = all("h1");
    if (headings.length !== 1) {
        faults.push(`${headings.length} h1: ${headings.map((one) => one.textContent.trim())}`);
    }
    if (!document.documentElement.lang) {
        faults.push("no language");
    }
    return faults;
}
"""
_FITS = "document.documentElement.scrollWidth <= window.innerWidth"
_SETTLED = """
() => !document.documentElement.hasAttribute("x-cloak") && document.readyState === "complete"
    // After all that waits for jQuery.
    && (window.django?.jQuery ? window.django.jQuery.ready.then(() => true) : true)
"""
_WIDEST = """
() => [...document.querySelectorAll("main *, #main *")]
    .filter((one) => one.getBoundingClientRect().right > window.innerWidth + 1)
    .slice(0, 5).map((one) => one.outerHTML.slice(0, 120))
"""
_MARKS = """
(element) => {
    const looks = (one) => {
        one.getAnimations().forEach((animation) => animation.finish());
        const style = getComputedStyle(one);
        return [style.outline, style.boxShadow, style.borderColor, style.backgroundColor].join();
    };
    const focused = looks(element);
    element.blur();
    const calm = looks(element);
    element.focus({focusVisible: true});
    return focused !== calm;
}
"""


def faults(page: Page) -> list[str]:
    """What is missing on the page as it is now, as sentences."""
    return page.evaluate(_FAULTS)


def settle(page: Page) -> None:
    """Until it is what a person would see."""
    page.wait_for_load_state()
    page.wait_for_function(_SETTLED)


def overflow(page: Page) -> list[str]:
    """What makes the page scroll sideways; plots take a moment to become narrow."""
    try:
        page.wait_for_function(_FITS, timeout=2_000)
    except Error:
        return [f"scrolls sideways: {page.evaluate(_WIDEST)}"]
    return []


def height(page: Page) -> int:
    return page.evaluate("document.documentElement.scrollHeight")


def switch(page: Page, theme: str) -> None:
    page.emulate_media(color_scheme=theme)  # for the browser's own parts, as the scroll bars
    page.evaluate("theme => Alpine.$data(document.documentElement).switchTheme(theme)", theme)
    page.wait_for_function("theme => document.documentElement.classList.contains(theme)", arg=theme)


def is_marked(target: Locator) -> bool:
    """Whether one sees that it has the focus: it looks different without."""
    return target.evaluate(_MARKS)
