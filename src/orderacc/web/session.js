// Who looks at the page, and logging in where the box wants to know.

import { ask, setCsrf } from "./api.js";
import { h, put } from "./dom.js";

let scopes = [];
let named = null;

const mayLook = () => scopes.includes("read") || scopes.includes("admin");

/** Whether this login may review and hand in. */
export const mayChange = () => scopes.includes("submit") || scopes.includes("admin");

/** Whether it may change stations. */
export const mayRule = () => scopes.includes("admin");

/** Whether there is a login that can be ended. */
export const isLogin = () => named !== null;

/** Ask whose login this is; refused with status 401 where one is needed. */
export async function whoAmI() {
  take(await ask("GET", "/v1/session"));
}

/** End the login. */
export async function logout() {
  await ask("DELETE", "/v1/session");
}

/** Ask for a token until a good one is given. */
export function login(root) {
  return new Promise((resolve) => {
    const field = h("input", {
      type: "password",
      id: "token",
      autocomplete: "current-password",
      required: true,
      maxlength: 200,
      spellcheck: "false",
    });
    const said = h("p", { class: "wrong", role: "alert" });
    const enter = async (event) => {
      event.preventDefault();
      said.textContent = "";
      try {
        take(await ask("POST", "/v1/session", { body: { token: field.value } }));
        if (mayLook()) resolve();
        else said.textContent = "This token lets nobody look: it lacks the scope read.";
      } catch (problem) {
        said.textContent = problem.code === "unauthorized" ? "The box does not know this token." : problem.told;
        field.select();
      }
    };
    const form = h(
      "form",
      { class: "panel login", onsubmit: enter },
      h("h1", {}, "Log in"),
      h("label", { for: "token" }, "Token"),
      field,
      said,
      h("button", { class: "button main", type: "submit" }, "Log in"),
      h("p", { class: "hint" }, "Whoever runs the box makes one with ", h("code", {}, "orderacc token create"), "."),
    );
    put(root, form);
    field.focus();
  });
}

function take(told) {
  scopes = told.scopes;
  named = told.csrf ? told.name : null;
  setCsrf(told.csrf);
}
