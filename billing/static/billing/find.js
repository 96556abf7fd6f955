"use strict";

// Ctrl+K, or ⌘K, goes to the search box from anywhere. On its way down to the page: further up the
// same keys would open the palette of page names.
document.addEventListener(
    "keydown",
    (event) => {
        const field = document.getElementById("find");
        if (!field || event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey)) {
            return;
        }
        event.preventDefault();
        event.stopPropagation();
        field.focus();
        field.select();
    },
    true,
);
