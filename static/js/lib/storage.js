// Small things to remember in the browser. Where storage is forbidden, nothing is remembered and nothing
// breaks.
export function recall(kind, key) {
  try {
    return window[kind].getItem(`threadlab.${key}`);
  } catch {
    return null;
  }
}

export function remember(kind, key, value) {
  try {
    if (value === null) window[kind].removeItem(`threadlab.${key}`);
    else window[kind].setItem(`threadlab.${key}`, value);
  } catch {
    /* not remembered, then */
  }
}
