// Small helpers for elements.

/** Set the text of an element, if there is one and the text differs: an equal text costs no layout. */
export function setText(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}
