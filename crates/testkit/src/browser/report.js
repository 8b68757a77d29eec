// What every page has: steps that are taken one after another, and a report of them to the test.
"use strict";

const steps = [];

/** Takes a step; the page goes on whether it succeeds or not. */
async function step(name, take) {
    try {
        await take();
        steps.push({ name, error: null });
    } catch (error) {
        steps.push({ name, error: explain(error) });
    }
}

/** Fails the step unless something holds. */
function check(holds, what) {
    if (!holds) throw new Error(`not so: ${what}`);
}

/** Fails the step unless two values are the same. */
function same(got, wanted) {
    check(JSON.stringify(got) === JSON.stringify(wanted), `${JSON.stringify(got)} is ${JSON.stringify(wanted)}`);
}

/** The error that something fails with. */
async function failure(promise) {
    try {
        await promise;
    } catch (error) {
        return error;
    }
    throw new Error("it did not fail");
}

/** Tells the test what happened. */
async function report(finished) {
    await fetch("/report", { method: "POST", body: JSON.stringify({ steps, finished }) });
}

function explain(error) {
    return error instanceof Error ? `${error.stack} ${JSON.stringify(error)}` : String(error);
}

// An error outside of any step ends the page: also a script that cannot be loaded or read.
addEventListener(
    "error",
    (event) => {
        const why = event.error ? explain(event.error) : event.message ?? `cannot load ${event.target.src}`;
        steps.push({ name: "outside of any step", error: why });
        report(false);
    },
    { capture: true },
);
addEventListener("unhandledrejection", (event) => {
    steps.push({ name: "in a promise that nobody waits for", error: explain(event.reason) });
    report(false);
});
