// Files for the examples of the first page, made on the spot.

/** A year of sales as a table. */
export function sampleTable(): File {
  const regions = ["North", "South", "East", "West"];
  const products: [string, number][] = [
    ["Tent", 189],
    ["Stove", 64.5],
    ["Backpack", 129],
  ];
  const rows = ["month,region,product,units,revenue"];
  for (let month = 0; month < 12; month += 1) {
    for (const [at, region] of regions.entries()) {
      const [product, price] = products[(month + at) % products.length]!;
      // Busy in summer, quiet in winter, and a little different everywhere.
      const units = Math.round(150 + 90 * Math.sin(((month - 2) / 12) * 2 * Math.PI) + at * 17 + ((month * 7 + at * 13) % 23));
      rows.push(`2025-${String(month + 1).padStart(2, "0")},${region},${product},${units},${(units * price).toFixed(2)}`);
    }
  }
  return new File([`${rows.join("\n")}\n`], "data.csv", { type: "text/csv" });
}

/** Notes of a meeting. */
export function sampleNotes(): File {
  const notes = `Meeting of the yard crew, Tuesday

Track 4 stays closed until the switch is replaced. The part comes on Thursday; Mara checks it when it arrives.
The night shift asks for better light between the shed and track 2. Two lamps are in the store, Jon mounts them.
The new timetable starts on the first of the month. Freight from the harbour then comes an hour earlier, so the
crane has to be ready by five. Nobody objects.
Open: who trains the two newcomers? Asked again next week.
`;
  return new File([notes], "notes.txt", { type: "text/plain" });
}
