// Before the first paint: the theme that was chosen. A classic script, for modules run after the page is
// drawn.
(() => {
  let theme = new URLSearchParams(location.search).get("theme");
  try {
    theme ??= localStorage.getItem("threadlab.theme");
  } catch {
    /* storage may be forbidden: then the system's theme it is */
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
