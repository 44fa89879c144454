// The product name and logo: a railway switch, where one track becomes two.

export function Brand({ large = false }: { large?: boolean }) {
  const size = large ? 36 : 26;
  return (
    <span class={large ? "brand brand-large" : "brand"}>
      <svg viewBox="0 0 32 32" width={size} height={size} aria-hidden="true" focusable="false">
        <rect class="brand-ground" width="32" height="32" rx="7" />
        <g class="brand-track" fill="none" stroke-width="2.6" stroke-linecap="round">
          <path d="M9 6v20" />
          <path d="M9 20c0-6 7-5 7-11V6" />
          <path d="M16 14c0 5 7 4 7 10v2" />
        </g>
      </svg>
      <span>Runyard</span>
    </span>
  );
}
