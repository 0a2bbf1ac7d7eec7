// Elements, made and changed. Law: text is set as text, never as markup, and only where it differs, so that focus,
// selection and screen readers are left in peace.

/** An element: `props` are properties, `class`, `data-*`, `aria-*` and other attributes, or `on<event>` listeners. */
export function h(tag, props = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((each) => each !== null && each !== undefined && each !== false));
  return made;
}

/** Says something in an element, if it does not say so yet. */
export function say(element, text) {
  const wanted = String(text ?? "");
  if (element.textContent !== wanted) element.textContent = wanted;
}

/** Sets or removes an attribute. */
export function mark(element, name, value) {
  if (value === null || value === undefined || value === false) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

const USED = "button, a, input, [tabindex]";

/** Makes an element's content anew, only when what it shows has changed. What had the focus gives it to what is there now. */
export function refill(element, shown, make) {
  const key = JSON.stringify(shown);
  if (element.shownKey === key) return;
  element.shownKey = key;
  const at = element.contains(document.activeElement) ? [...element.querySelectorAll(USED)].indexOf(document.activeElement) : -1;
  element.replaceChildren(...make().flat().filter(Boolean));
  if (at < 0) return;
  const now = [...element.querySelectorAll(USED)];
  (now[at] ?? now.at(-1) ?? element.closest("section")?.querySelector("[tabindex='-1']") ?? document.getElementById("main")).focus({ preventScroll: true });
}

/** A field with its label, and a hint that is read with it. The control has an id. */
export function field(label, control, hint) {
  const { id } = control;
  const lines = [h("label", { for: id }, label), control];
  if (hint) {
    control.setAttribute("aria-describedby", `${id}-hint`);
    lines.push(h("small", { id: `${id}-hint` }, hint));
  }
  return h("p", { class: "field" }, ...lines);
}

/** A choice: [value, text] each. */
export const choice = (id, options, chosen) =>
  h("select", { id }, ...options.map(([value, text]) => h("option", { value, selected: value === chosen }, text)));
