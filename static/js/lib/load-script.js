// Scripts that are no modules, loaded when they are needed.

/** Add a script to the page; the promise settles when it has run. */
export function loadScript(href) {
  const script = Object.assign(document.createElement("script"), { src: href });
  document.head.append(script);
  return new Promise((done, failed) => {
    script.onload = done;
    script.onerror = failed;
  });
}
