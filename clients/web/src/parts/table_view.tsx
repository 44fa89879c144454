// A table of texts whose columns the reader can sort.
import { ArrowDown, ArrowUp, ChevronsUpDown } from "lucide";
import { useMemo, useState } from "preact/hooks";
import { count, counted } from "../view/format";
import { type Order, type Table, isNumeric, nextOrder, sorted } from "../view/table";
import { Icon } from "./icon";

/** Number of rows that are shown at once. */
const PAGE = 500;

export function TableView({ table }: { table: Table }) {
  const [order, setOrder] = useState<Order | null>(null);
  const [limit, setLimit] = useState(PAGE);
  const rows = useMemo(() => sorted(table, order), [table, order]);
  const right = useMemo(() => table.header.map((_name, at) => isNumeric(table, at)), [table]);
  return (
    <>
      <p class="small dim preview-details">
        {table.more ? `First ${count(table.rows.length)} rows` : counted(table.rows.length, "row")}, {counted(table.header.length, "column")}
      </p>
      <div class="table-scroll data" tabIndex={0} role="group" aria-label="Table">
        <table>
          <thead>
            <tr>
              {table.header.map((name, at) => (
                <th key={at} scope="col" class={right[at] ? "right" : undefined} aria-sort={order?.column === at ? order.direction : "none"}>
                  <button type="button" class="sort" title={`Sort by ${name}`} onClick={() => setOrder(nextOrder(order, at))}>
                    {name}
                    <Icon of={order?.column !== at ? ChevronsUpDown : order.direction === "ascending" ? ArrowUp : ArrowDown} size={13} />
                  </button>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.slice(0, limit).map((row, line) => (
              <tr key={line}>
                {table.header.map((_name, at) => (
                  <td key={at} class={right[at] ? "right" : undefined} title={(row[at]?.length ?? 0) > 40 ? row[at] : undefined}>
                    {row[at]}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {rows.length > limit && (
        <button type="button" class="button button-small table-more" onClick={() => setLimit(limit + PAGE)}>
          Show more ({count(rows.length - limit)} left)
        </button>
      )}
    </>
  );
}
