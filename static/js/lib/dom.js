// Small helpers for elements.

/**
 * Set the text of an element if it differs; an equal text costs no layout. Without an element nothing is
 * done.
 */
export function setText(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}
