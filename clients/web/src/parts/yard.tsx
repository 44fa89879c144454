// Decoration of the sign-in page: a rail yard from above.

/** The x coordinates of the tracks, in units of the view box. */
const TRACKS = [90, 210, 330, 450, 570, 690, 810, 930, 1050, 1170, 1290, 1410];
/**
 * Switches, which connect a track to the next one. Each entry has the index of the left track and the y coordinate of
 * the upper end.
 */
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
const RISE = 150;

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

// The path from the bottom of a track to its switch.
function start(track: number, y: number): string {
  return `M${TRACKS[track]} 900V${y + RISE}`;
}

// The curve of a switch, which ends at height `y`.
function curve(from: number, to: number, y: number): string {
  const middle = y + RISE / 2;
  return `C${TRACKS[from]} ${middle} ${TRACKS[to]} ${middle} ${TRACKS[to]} ${y}`;
}
