// Applies a theme that was chosen by hand before anything is drawn, so that nothing flashes.
try {
  const theme = localStorage.getItem("runyard.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // A browser that keeps nothing follows the system.
}
