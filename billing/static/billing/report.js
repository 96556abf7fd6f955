"use strict";

// The report prints itself where there is a browser that can; without a script there is no button.

document.querySelectorAll("[data-prints]").forEach((button) => {
    button.hidden = false;
    button.addEventListener("click", () => window.print());
});
