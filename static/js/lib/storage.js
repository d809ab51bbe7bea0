// Small settings in the browser's storage. Where storage is forbidden, nothing is stored and nothing fails.
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
    /* storage is forbidden or full */
  }
}
