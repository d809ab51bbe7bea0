// What modules read from and write to the document.

/** The path under which a proxy serves the lab: the prefix of every URL that a script makes. */
export const ROOT_PATH = document.documentElement.dataset.root;

/**
 * Set the text of an element if it differs; an equal text costs no layout. Without an element nothing is
 * done.
 */
export function setText(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}
