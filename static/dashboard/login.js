// Who may look: a bearer token, typed once a tab.

import { token } from "./api.js";
import { field, h } from "./dom.js";
import { t } from "./tongue.js";

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
    h("h1", {}, t("login.title")),
    h("p", {}, t("login.lead")),
    said && h("p", { class: "problem", role: "alert" }, said),
    field(t("login.token"), input),
    h("p", {}, h("button", {}, t("login.go"))),
  );
  return h("div", { class: "wide" }, form);
}
