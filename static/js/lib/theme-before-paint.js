// Sets the chosen theme before the first paint. A classic script, because modules run after the page is
// drawn.
(() => {
  let theme = new URLSearchParams(location.search).get("theme");
  try {
    theme ??= localStorage.getItem("threadlab.theme");
  } catch {
    /* storage is forbidden: use the theme of the system */
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
