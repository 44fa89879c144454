// Applies the stored theme before the first paint, so that the page does not flash.
try {
  const theme = localStorage.getItem("runyard.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage is unavailable: the page follows the system theme.
}
