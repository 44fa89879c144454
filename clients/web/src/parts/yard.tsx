// A yard from above: tracks, switches between them, and one route that is set. Decoration for the sign-in page.

/** Where tracks lie, from left to right. */
const TRACKS = [90, 210, 330, 450, 570, 690, 810, 930, 1050, 1170, 1290, 1410];
/** Switches: from which track, to the next one, at which height. */
const SWITCHES: [number, number][] = [
  [0, 640],
  [1, 300],
  [2, 760],
  [3, 180],
  [5, 520],
  [6, 700],
  [7, 240],
  [8, 610],
  [9, 380],
  [10, 160],
];
/** The height that a switch takes. */
const RISE = 150;

/** A yard from above. */
export function Yard() {
  return (
    <svg class="yard" viewBox="0 0 1500 900" preserveAspectRatio="xMidYMid slice" aria-hidden="true" focusable="false">
      <g class="yard-tracks">
        {TRACKS.map((x) => (
          <path key={x} d={`M${x} 0V900`} />
        ))}
        {SWITCHES.map(([track, y]) => (
          <path key={track} d={`M${TRACKS[track]} ${y + RISE}${curve(track, track + 1, y)}`} />
        ))}
      </g>
      <path class="yard-route" d={`${start(1, 300)}${curve(1, 2, 300)}V0`} />
      <path class="yard-route" d={`${start(9, 380)}${curve(9, 10, 380)}V${160 + RISE}${curve(10, 11, 160)}V0`} />
      <g class="yard-stations">
        {[
          [1, 690],
          [2, 120],
          [9, 760],
          [10, 350],
          [11, 60],
        ].map(([track, y]) => (
          <circle key={`${track}-${y}`} cx={TRACKS[track!]} cy={y} r="7" />
        ))}
      </g>
    </svg>
  );
}

// From the bottom up a track, to where a switch begins.
function start(track: number, y: number): string {
  return `M${TRACKS[track]} 900V${y + RISE}`;
}

// The curve of a switch, from where the track is to the height where the other one is reached.
function curve(from: number, to: number, y: number): string {
  const middle = y + RISE / 2;
  return `C${TRACKS[from]} ${middle} ${TRACKS[to]} ${middle} ${TRACKS[to]} ${y}`;
}
