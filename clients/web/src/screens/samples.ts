// Generates the files of the example tasks on the home screen.

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
      // Sales peak in summer and vary by region.
      const units = Math.round(150 + 90 * Math.sin(((month - 2) / 12) * 2 * Math.PI) + at * 17 + ((month * 7 + at * 13) % 23));
      rows.push(`2025-${String(month + 1).padStart(2, "0")},${region},${product},${units},${(units * price).toFixed(2)}`);
    }
  }
  return new File([`${rows.join("\n")}\n`], "data.csv", { type: "text/csv" });
}

export function sampleNotes(): File {
  const notes = `Meeting of the yard crew, Tuesday

Track 4 stays closed until the switch is replaced. The part arrives on Thursday, and Mara will check it.
The night shift needs better light between the shed and track 2. Jon will install the two lamps from the storeroom.
The new timetable starts on the first of the month. Freight from the harbour will arrive an hour earlier, so the
crane has to be ready by five. There were no objections.
Open question: who trains the two new workers? To be decided next week.
`;
  return new File([notes], "notes.txt", { type: "text/plain" });
}

export function sampleLog(): File {
  const paths = ["/", "/search", "/cart", "/checkout", "/api/stock"];
  const lines: string[] = [];
  for (let minute = 0; minute < 60; minute += 1) {
    for (let each = 0; each < 3; each += 1) {
      const at = minute * 3 + each;
      const path = paths[(at * 7 + minute) % paths.length]!;
      // The checkout is slow and fails for ten minutes.
      const isBad = minute >= 31 && minute < 41 && path === "/checkout";
      const took = isBad ? 1_800 + ((at * 37) % 900) : 12 + ((at * 29) % 90);
      const clock = `10:${String(minute).padStart(2, "0")}:${String((at * 17) % 60).padStart(2, "0")}`;
      lines.push(`2025-11-04 ${clock} GET ${path} ${isBad && at % 2 === 0 ? 503 : 200} ${took} ms`);
    }
  }
  return new File([`${lines.join("\n")}\n`], "server.log", { type: "text/plain" });
}
