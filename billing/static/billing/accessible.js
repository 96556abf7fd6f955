/* What unfold's own pages leave to the mouse and the eye: icons are read out, toggles cannot be
   reached by the keyboard, the focus is lost. */

"use strict";

(() => {
    const ICON = ".material-symbols-outlined";
    const CLICKED = "[x-on\\:click]:not(a[href], button, input, select, label)";
    const NAMES = {
        computer: "Theme",
        dark_mode: "Theme",
        dock_to_right: "Menu",
        light_mode: "Theme",
        more_horiz: "More actions",
        close: "Close",
        receipt_long: "Start page",
        search: "Search",
    };

    const icons = (element) =>
        element.matches(ICON) ? [element] : [...element.querySelectorAll(ICON)];
    const isNamed = (element) => element.getAttribute("aria-label") || element.title;

    function written(element) {
        const copy = element.cloneNode(true);
        copy.querySelectorAll(ICON).forEach((icon) => icon.remove());
        return element.matches(ICON) ? "" : copy.textContent.trim();
    }

    function name(element) {
        if (isNamed(element) || written(element)) {
            return;
        }
        const found = icons(element).map((icon) => NAMES[icon.textContent.trim()]).find(Boolean);
        if (found) {
            element.setAttribute("aria-label", found);
        }
    }

    function makeButton(element) {
        if (element.querySelector("a, button, input, select, textarea")) {
            return;
        }
        element.setAttribute("role", "button");
        element.tabIndex = 0;
        element.addEventListener("keydown", (event) => {
            if (event.target === element && (event.key === "Enter" || event.key === " ")) {
                event.preventDefault();
                element.click();
            }
        });
        name(element);
    }

    // Select2 comes when jQuery finds the page ready, which may be after all else; this comes later.
    window.django?.jQuery?.(() => {
        document.querySelectorAll(".select2-search__field").forEach((field) => {
            const select = field.closest(".select2-container")?.previousElementSibling;
            const label = select?.labels?.[0]?.textContent.trim();
            if (label && !isNamed(field)) {
                field.setAttribute("aria-label", label);
            }
        });
    });

    document.querySelectorAll(CLICKED).forEach(makeButton);
    document.querySelectorAll("a[href], button").forEach(name);
    document.querySelectorAll("#result_list [data-label]").forEach((cell) => {
        const label = cell.dataset.label;
        cell.dataset.label = label.charAt(0).toUpperCase() + label.slice(1);
    });
    document.querySelectorAll("td input, td select, td textarea").forEach((field) => {
        const column = field.closest("td[data-label]")?.dataset.label;
        if (column && !isNamed(field) && field.labels?.length === 0) {
            const row = field.closest("tr").querySelector("th")?.textContent.trim();
            field.setAttribute("aria-label", row ? `${column} of ${row}` : column);
        }
    });
    function nameByPlaceholder() {
        document.querySelectorAll("input[placeholder]").forEach((input) => {
            if (!isNamed(input) && [...input.labels].every((label) => !label.textContent.trim())) {
                input.setAttribute("aria-label", input.placeholder);
            }
        });
    }

    nameByPlaceholder();
    // Two lists to choose from are made of a field only when everything has loaded.
    window.addEventListener("load", nameByPlaceholder);
    document.querySelectorAll(ICON).forEach((icon) => {
        if (!icon.hasAttribute("role")) {
            icon.setAttribute("aria-hidden", "true");
        }
    });
    // The page is hidden until Alpine has begun, and a browser that was quicker than that found
    // nothing to put the focus on.
    if (document.activeElement === document.body) {
        document.querySelector("[autofocus]")?.focus();
    }
})();
