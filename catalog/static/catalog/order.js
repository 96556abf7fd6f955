/* Rows of a list that were drawn to another place change their numbers with one another. unfold
   would number those on the page from 0, and so mix them with those on other pages. */

"use strict";

document.addEventListener("DOMContentLoaded", () => {
    const list = document.querySelector("#result_list[data-ordering-field]");
    if (!list) {
        return;
    }
    // The form's first button runs an action, which is what Enter would press.
    list.addEventListener("keydown", (event) => {
        if (event.key === "Enter" && event.target.matches("input[type=number]")) {
            event.preventDefault();
            document.querySelector("[name=_save][form=changelist-form]").click();
        }
    });
    const field = list.dataset.orderingField;
    const inputs = () => [...list.querySelectorAll(`td.field-${field} input[name$="-${field}"]`)];
    // By another column, or backwards, a place in the list is no place in the order.
    const shown = new URLSearchParams(location.search).get("o");
    if (inputs().length === 0 || shown) {
        list.querySelectorAll("[x-sort\\:handle]").forEach((handle) => {
            handle.style.display = "none";
        });
        return;
    }
    const taken = () =>
        inputs().map((input) => Number(input.value)).sort((one, other) => one - other);
    let numbers = taken();
    list.addEventListener("input", () => {
        numbers = taken();
    });
    // After unfold's own listener, which stands on the list itself.
    list.parentElement.addEventListener("end", () => {
        let last = -Infinity;
        inputs().forEach((input, place) => {
            last = Math.max(numbers[place], last + 1);
            input.value = last;
        });
        numbers = taken();
    });
});
