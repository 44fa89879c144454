// Bar charts with axes, as SVG. The tables beside them hold the same numbers for screen readers.
import { scaleBand, scaleLinear } from "d3-scale";
import { useEffect, useRef, useState } from "preact/hooks";
import { excerpt } from "../view/format";

export interface Bar {
  key: string;
  label: string;
  value: number;
}

interface ChartProperties {
  bars: readonly Bar[];
  /** The name of the chart, such as "Credits by day". */
  label: string;
  /** Names of the axes. */
  groups: string;
  values: string;
  format: (value: number) => string;
  /** Whether the values are whole numbers, so that the axis has no fractions. */
  isWhole: boolean;
}

/** Approximate width of a letter of an axis, in pixels. */
const LETTER = 7;
/** Space for the name of an axis, and for the line of its labels. */
const NAME = 20;
const LABELS = 22;
const TICKS = 5;

/** The bars stand side by side, in the order of time. */
export function ColumnChart({ bars, label, groups, values, format, isWhole }: ChartProperties) {
  const [place, width] = useWidth();
  const height = 260;
  const y = scaleLinear([0, most(bars)], [height - NAME - LABELS, 10]).nice(TICKS);
  const ticks = y.ticks(TICKS).filter((tick) => !isWhole || Number.isInteger(tick));
  const left = NAME + 8 + LETTER * Math.max(...ticks.map((tick) => format(tick).length));
  const x = scaleBand(bars.map(({ key }) => key), [left, width - 8]).padding(0.25);
  const bottom = y(0);
  const longest = Math.max(1, ...bars.map((bar) => bar.label.length));
  const every = Math.max(1, Math.ceil((longest * LETTER + 12) / Math.max(1, x.step())));
  return (
    <div ref={place} class="chart">
      {width > 0 && (
        <svg role="img" aria-label={label} width={width} height={height} viewBox={`0 0 ${width} ${height}`}>
          {ticks.map((tick) => (
            <g key={tick}>
              <line class="chart-grid" x1={left} x2={width - 8} y1={y(tick)} y2={y(tick)} />
              <text x={left - 8} y={y(tick)} dy="0.32em" text-anchor="end">
                {format(tick)}
              </text>
            </g>
          ))}
          {bars.map((bar, at) => (
            <g key={bar.key}>
              <title>{`${bar.label}: ${format(bar.value)}`}</title>
              <rect class="chart-hover" x={x(bar.key)! - (x.step() * x.padding()) / 2} width={x.step()} y={10} height={bottom - 10} />
              <rect class="chart-bar" x={x(bar.key)} width={x.bandwidth()} y={y(bar.value)} height={bottom - y(bar.value)} rx={Math.min(2, x.bandwidth() / 3)} />
              {(bars.length - 1 - at) % every === 0 && x(bar.key)! > left + (longest * LETTER) / 2 - 20 && (
                <text x={Math.min(x(bar.key)! + x.bandwidth() / 2, width - (longest * LETTER) / 2)} y={bottom + 15} text-anchor="middle">
                  {bar.label}
                </text>
              )}
            </g>
          ))}
          <line class="chart-axis" x1={left} x2={width - 8} y1={bottom} y2={bottom} />
          <text class="chart-name" x={(left + width) / 2} y={height - 4} text-anchor="middle">
            {groups}
          </text>
          <text class="chart-name" transform={`translate(12 ${bottom / 2}) rotate(-90)`} text-anchor="middle">
            {values}
          </text>
        </svg>
      )}
    </div>
  );
}

/** The bars are rows, because their labels are long. */
export function RowChart({ bars, label, groups, values, format, isWhole }: ChartProperties) {
  const [place, width] = useWidth();
  const row = 28;
  const top = NAME;
  const bottom = top + bars.length * row;
  const height = bottom + NAME + LABELS;
  const longest = Math.max(1, ...bars.map((bar) => bar.label.length));
  const left = Math.min(longest * LETTER + 14, Math.max(80, width * 0.35));
  const letters = Math.max(6, Math.floor((left - 14) / LETTER));
  // Each bar has its number beside it.
  const x = scaleLinear([0, most(bars)], [left, Math.max(left + 1, width - 70)]);
  const ticks = x.ticks(width < 480 ? 3 : TICKS).filter((tick) => !isWhole || Number.isInteger(tick));
  return (
    <div ref={place} class="chart">
      {width > 0 && (
        <svg role="img" aria-label={label} width={width} height={height} viewBox={`0 0 ${width} ${height}`}>
          {ticks.map((tick) => (
            <g key={tick}>
              <line class="chart-grid" x1={x(tick)} x2={x(tick)} y1={top} y2={bottom} />
              <text x={x(tick)} y={bottom + 15} text-anchor="middle">
                {format(tick)}
              </text>
            </g>
          ))}
          {bars.map((bar, at) => (
            <g key={bar.key}>
              <title>{`${bar.label}: ${format(bar.value)}`}</title>
              <text x={left - 8} y={top + (at + 0.5) * row} dy="0.32em" text-anchor="end">
                {excerpt(bar.label, letters)}
              </text>
              <rect class="chart-bar" x={left} width={Math.max(1, x(bar.value) - left)} y={top + at * row + 5} height={row - 10} rx={2} />
              <text class="chart-value" x={x(bar.value) + 6} y={top + (at + 0.5) * row} dy="0.32em">
                {format(bar.value)}
              </text>
            </g>
          ))}
          <line class="chart-axis" x1={left} x2={left} y1={top} y2={bottom} />
          <text class="chart-name" x={left - 8} y={12} text-anchor="end">
            {groups}
          </text>
          <text class="chart-name" x={(left + width - 70) / 2} y={height - 4} text-anchor="middle">
            {values}
          </text>
        </svg>
      )}
    </div>
  );
}

/** The end of the axis. A chart without values has an axis too. */
function most(bars: readonly Bar[]): number {
  return Math.max(...bars.map(({ value }) => value), 0) || 1;
}

function useWidth(): [{ current: HTMLDivElement | null }, number] {
  const place = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const observer = new ResizeObserver(() => setWidth(Math.floor(place.current?.clientWidth ?? 0)));
    observer.observe(place.current!);
    return () => observer.disconnect();
  }, []);
  return [place, width];
}
