// Who may look: a bearer token, typed once a tab.

import { token } from "./api.js";
import { field, h } from "./dom.js";

/** The form. `said`: why the last token did not do; `done` is called with a token to try. */
export function loginView(said, done) {
  const input = h("input", { id: "token", type: "password", required: true, autocomplete: "off", spellcheck: "false" });
  const form = h(
    "form",
    {
      class: "login",
      onsubmit: (event) => {
        event.preventDefault();
        token.set(input.value.trim());
        done();
      },
    },
    h("h1", {}, "Sign in"),
    h("p", {}, "With a bearer token of admin.tokens. It stays in this tab and is forgotten when the tab is closed."),
    said && h("p", { class: "problem", role: "alert" }, said),
    field("Token", input),
    h("p", {}, h("button", {}, "Sign in")),
  );
  return h("div", { class: "wide" }, form);
}
