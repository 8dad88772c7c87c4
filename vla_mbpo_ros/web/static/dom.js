// Two helpers; the page has no framework.

export const byId = (id) => document.getElementById(id);

/** make("img", {className: "x", alt: "y"}, child, …) */
export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** Sets a text only if it is another: screen readers read a live region anew at every change. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export const words = (name) => name.replaceAll("_", " ");

/** "83 %"; a model that does not judge gives null. */
export const percent = (share) => (share === null || share === undefined ? "not judged" : `${Math.round(100 * share)} %`);
