/* Sends what was chosen in parts, and shows how far it is and what was not done. */

"use strict";

(() => {
    const form = document.getElementById("bulk");
    const ids = form.elements.ids.value.split(",");
    const size = Number(form.dataset.part);
    const element = (name) => document.getElementById(`bulk-${name}`);
    const number = (count) => count.toLocaleString("en");
    let next = 0; // the first that was not sent yet
    let done = 0;
    let failed = 0;
    let isRunning = false;
    let isStopping = false;

    form.querySelector("input:not([type=hidden]), select, textarea").focus();
    form.addEventListener("submit", (event) => {
        event.preventDefault();
        if (form.reportValidity()) {
            run();
        }
    });
    element("stop").addEventListener("click", () => {
        isStopping = true;
        element("said").textContent = "Stopping after this part…";
    });
    element("go-on").addEventListener("click", run);
    window.addEventListener("beforeunload", (event) => {
        if (isRunning) {
            event.preventDefault();
        }
    });

    async function run() {
        if (isRunning) {
            return;
        }
        isRunning = true;
        isStopping = false;
        element("stop").hidden = false;
        element("go-on").hidden = true;
        element("back").hidden = true;
        let fault = "";
        try {
            while (next < ids.length && !isStopping) {
                const part = ids.slice(next, next + size);
                const answer = await send(part);
                if (answer === null) {
                    // Nothing was done: the server shows the form again, with what is wrong.
                    isRunning = false;
                    form.submit();
                    return;
                }
                next += part.length;
                show(answer);
            }
        } catch (error) {
            fault = error.message;
        }
        isRunning = false;
        end(fault);
    }

    async function send(part) {
        const body = new FormData(form);
        body.set("ids", part.join(","));
        for (const name of [...body.keys()]) {
            if (name.startsWith("each-") && !part.includes(name.slice("each-".length))) {
                body.delete(name);
            }
        }
        let response;
        try {
            response = await fetch(form.action, {
                method: "POST",
                body,
                headers: { Accept: "application/json" },
            });
        } catch {
            throw new Error("The server cannot be reached.");
        }
        const isJson = (response.headers.get("content-type") || "").startsWith("application/json");
        if (response.status === 400 && isJson) {
            return null;
        }
        if (response.status === 403) {
            throw new Error("You may not do this any more.");
        }
        if (response.redirected) {
            throw new Error("You are signed out: sign in in another tab, and go on here.");
        }
        if (!response.ok || !isJson) {
            throw new Error("Something failed on our side; it is in the log.");
        }
        return response.json();
    }

    function show(answer) {
        if (element("run").hidden) {
            form.hidden = true;
            element("run").hidden = false;
            element("heading").focus();
        }
        done += answer.done;
        failed += answer.failed.length;
        element("progress").value = next;
        element("said").textContent = told(`${number(next)} of ${number(ids.length)}`);
        for (const failure of answer.failed) {
            element("failed").querySelector("tbody").append(row(failure));
        }
        element("failed").hidden = failed === 0;
    }

    function told(beginning) {
        return `${beginning}: ${number(done)} done, ${number(failed)} not done.`;
    }

    function row(failure) {
        const which = document.createElement("td");
        which.dataset.label = "Which";
        if (failure.address) {
            const link = document.createElement("a");
            link.href = failure.address;
            link.className = "text-link";
            link.textContent = failure.label;
            which.append(link);
        } else {
            which.textContent = failure.label;
        }
        const why = document.createElement("td");
        why.dataset.label = "Why";
        why.textContent = failure.message;
        const line = document.createElement("tr");
        line.append(which, why);
        return line;
    }

    function end(fault) {
        const isOver = next === ids.length;
        form.hidden = true;
        element("run").hidden = false;
        element("stop").hidden = true;
        element("go-on").hidden = isOver;
        element("back").hidden = false;
        const beginning = isOver ? "Finished" : `Stopped at ${number(next)} of ${number(ids.length)}`;
        element("said").textContent = fault ? `${fault} ${told(beginning)}` : told(beginning);
        element("heading").focus();
    }
})();
