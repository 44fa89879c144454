#!/bin/sh
# Usage: sh analyze.sh FILE TASK
# Analyzes a table (CSV or TSV): writes output/report.md and output/chart.svg, and prints a summary. If
# the task contains names of columns, the report is about these columns. The script needs only sh and awk.
export LC_ALL=C FILE="$1" TASK="$2" SCRIPT="$0"
mkdir -p output && exec awk '
# ---- Values
function trim(s) { gsub(/^[ \t\r]+|[ \t\r]+$/, "", s); return s }
function is_missing(s) { return s == "" || tolower(s) ~ /^(-|na|n\/a|nan|null|none)$/ }
# Parses a number and sets is_number to 1, or to 0 if s is not a number. Accepts currency signs, percent signs and
# thousands separators.
function number(s) {
    gsub(/\302\240|\342\202\254|\302\243|\302\245|[$% \047]/, "", s)
    if (decimal == ",") { gsub(/[.]/, "_", s); gsub(/,/, ".", s); gsub(/_/, ",", s) }
    is_number = length(s) < 40 && s ~ /^[-+]?[.]?[0-9]/ \
        && s ~ /^[-+]?([0-9]+(,[0-9][0-9][0-9])*)?([.][0-9]*)?([eE][-+]?[0-9][0-9]?)?$/
    gsub(/,/, "", s)
    return s + 0
}
function is_date(s, name) {
    return s ~ /^[0-9][0-9][0-9][0-9][-\/][0-9][0-9]($|[-\/][0-9][0-9]($|[ T]))/ \
        || (has_word(name, "year") && s ~ /^[12][0-9][0-9][0-9]$/)
}
function is_month(s) { return tolower(s) ~ /^(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mon|tue|wed|thu|fri|sat|sun)[a-z]*$/ }
function show(v,   s, end) {
    if (v > -1e-9 && v < 1e-9) return "0"
    if (v >= 1e15 || v <= -1e15 || (v > -0.01 && v < 0.01)) return sprintf("%.3g", v)
    s = sprintf("%.2f", v); end = index(s, ".") - 1
    sub(/[.]?0+$/, "", s)
    while ((end -= 3) > (v < 0)) s = substr(s, 1, end) "," substr(s, end + 1)
    return s
}
function xml(s) { gsub(/[\001-\037]/, "", s); gsub(/&/, "\\&amp;", s); gsub(/</, "\\&lt;", s); gsub(/>/, "\\&gt;", s); return s }
function markdown(s) { gsub(/[ \t\r\n]+/, " ", s); gsub(/[|]/, "\\|", s); gsub(/</, "\\&lt;", s); return trim(s) }
function has_word(s, words) { return tolower(s) ~ "(^|[^a-z])(" words ")([^a-z]|$)" }
# Shortens a string of more than 36 bytes to up to 34 bytes and an ellipsis, without splitting a UTF-8 character.
function shorten(s) {
    if (length(s) <= 36) return s
    s = substr(s, 1, 34)
    sub(/[\300-\377]?[\200-\277]*$/, "", s)
    return s "\342\200\246"
}

# ---- Records
# If a record is not valid UTF-8, replaces its non-ASCII bytes, so that the report and the chart are valid UTF-8.
function repair(s,   copy) {
    copy = s
    gsub(/[\300-\337][\200-\277]|[\340-\357][\200-\277][\200-\277]|[\360-\367][\200-\277][\200-\277][\200-\277]/, "", copy)
    if (copy ~ /[\200-\377]/) gsub(/[\200-\377]+/, "?", s)
    return s
}
# Reads the next record that is not blank. Quoted cells may contain line breaks.
function next_record(   record, more, quotes) {
    while ((getline record < file) > 0) {
        quotes = gsub(/"/, "\"", record)
        while (quotes % 2 && length(record) < 1000000 && (getline more < file) > 0) {
            quotes += gsub(/"/, "\"", more)
            record = record "\n" more
        }
        sub(/^\357\273\277/, "", record); sub(/\r$/, "", record)
        if (delimiter == "") delimiter = guess_delimiter(record)
        if (record ~ "[^ \t\r\n\"" delimiter "]") { split_record(repair(record)); return 1 }
    }
    close(file); return 0
}
# Selects the delimiter that occurs most often outside of quotes.
function guess_delimiter(record,   i, n, best, most) {
    gsub(/"[^"]*"/, "", record)
    for (i = 1; i <= 4; i++) if ((n = gsub("[" substr("\t;,|", i, 1) "]", "", record)) > most) { most = n; best = i }
    return best ? substr("\t;,|", best, 1) : ","
}
# Splits a record into cell[1..width].
function split_record(s,   i, parts, part, text, quotes) {
    parts = split(s, part, delimiter == "|" ? "[|]" : delimiter)
    width = 0; text = ""; quotes = 0
    for (i = 1; i <= parts; i++) {
        text = quotes % 2 ? text delimiter part[i] : part[i]
        quotes += gsub(/"/, "\"", part[i])
        if (quotes % 2 && i < parts) continue
        text = trim(text); quotes = 0
        if (text ~ /^"/) { gsub(/^"|"$/, "", text); gsub(/""/, "\"", text) }
        cell[++width] = trim(text)
    }
}

# ---- Plan
# Reads up to 500 records to determine the header, the decimal separator and the kind of each column.
function inspect(   r, c, s, values, kinds) {
    while (rows < 500 && next_record()) {
        rows++
        if (width > columns) columns = width
        for (c = 1; c <= width; c++) {
            sample[rows, c] = s = cell[c]
            if (delimiter != "," && s ~ /[0-9],[0-9][0-9]?[^0-9]*$/) commas++
            if (s ~ /[0-9][.][0-9][0-9]?[^0-9]*$/) dots++
        }
    }
    close(file)
    decimal = commas > dots ? "," : "."
    for (c = 1; c <= columns; c++) { number(sample[1, c]); values += is_number || is_date(sample[1, c]) }
    has_header = values * 2 < (columns > 1 ? columns : 2)
    for (c = 1; c <= columns; c++) inspect_column(c)
}
function inspect_column(c,   r, s, filled, numbers, dates, months) {
    heading[c] = has_header && sample[1, c] != "" ? sample[1, c] : "column " c
    for (r = 1 + has_header; r <= rows; r++) {
        s = sample[r, c]
        if (is_missing(s)) continue
        number(s)
        filled++; numbers += is_number; dates += is_date(s, heading[c]); months += is_month(s)
        if (!((c, s) in met)) { met[c, s] = 1; different[c]++ }
    }
    kind[c] = filled && dates >= filled * 0.9 ? "date" : filled && numbers >= filled * 0.9 ? "number" : "text"
    repeats[c] = different[c] <= filled * 0.7
    is_calendar[c] = filled && months == filled
}
function plain(s) { s = tolower(s); gsub(/[^a-z0-9\200-\377]+/, " ", s); return " " trim(s) " " }
function is_named(c,   name) {
    name = trim(plain(heading[c]))
    return length(name) > 2 && (index(plain(ENVIRON["TASK"]), " " name " ") || index(plain(ENVIRON["TASK"]), " " name "s "))
}
# Returns a score for a column as the source of the values in the chart; 0 if the column is unsuitable.
function rate_value(c,   i, n, known) {
    if (kind[c] != "number") return 0
    if (is_named(c)) return 1000
    if (has_word(heading[c], "id|key|zip|postcode|phone|lat|latitude|lon|lng|longitude|year|index|no")) return 0
    n = split("revenue sales turnover profit amount total income spend cost price value units quantity qty count visits score", known)
    for (i = 1; i <= n; i++) if (has_word(heading[c], known[i])) return 100 - i
    return 1
}
# Returns a score for a column as the source of the groups in the chart; 0 if the column is unsuitable.
function rate_group(c,   rate) {
    if (kind[c] == "number" || !different[c]) return 0
    rate = kind[c] == "date" ? (different[c] > 2 ? 300 : 20) : has_word(heading[c], "u?u?id") ? 1 : repeats[c] ? 200 : 10
    return rate + 1000 * is_named(c)
}
function plan(   c, best_value, best_group) {
    for (c = 1; c <= columns; c++) {
        if (rate_value(c) > best_value) { best_value = rate_value(c); value = c }
        if (rate_group(c) > best_group) { best_group = rate_group(c); group = c }
    }
    is_mean = value && has_word(heading[value], "price|rate|ratio|percent|pct|avg|average|mean|temp|temperature|score|rating|age|" \
        "height|weight|speed|humidity|pressure|latency|duration|length|width")
    across = heading[group ? group : value]
    axis = !value || !group ? "number of rows" : (is_mean ? "mean" : "sum") " of " heading[value]
    if (!group) title = "Distribution of " across
    else if (!value) title = "Rows by " across
    else title = (is_mean ? "Average " heading[value] : toupper(substr(heading[value], 1, 1)) substr(heading[value], 2)) " by " across
}

# ---- Numbers
function read_table(   c) {
    for (rows = -has_header; next_record(); rows++) {
        if (rows < 0) continue
        while (width < columns) cell[++width] = ""
        for (c = 1; c <= columns; c++) add_cell(c, cell[c])
        add_to_group(cell[group], cell[value])
    }
}
function add_cell(c, s,   v) {
    v = number(s)
    if (is_missing(s) || (kind[c] == "number" && !is_number)) { missing[c]++; return }
    if (kind[c] == "number") {
        if (!filled[c] || v < minimum[c]) minimum[c] = v
        if (!filled[c] || v > maximum[c]) maximum[c] = v
        total[c] += v
    } else if ((c, s) in seen || distinct[c] < 10000) {
        if (!((c, s) in seen)) distinct[c]++
        if (++seen[c, s] > seen[c, common[c]]) common[c] = s
    }
    filled[c]++
}
# Adds a row to its group. A row with a date is added to three groups: the day, the month and the year. Their keys are
# the first 10, 7 and 4 characters of the date.
function add_to_group(key, s,   v, size) {
    v = value ? number(s) : 1
    if (value && !is_number) return
    if (!group) { plain_value[++plain_values] = v; return }
    if (kind[group] != "date") { add(0, key == "" ? "(empty)" : key, v); return }
    gsub(/\//, "-", key)
    if (key ~ /^[0-9][0-9][0-9][0-9]/) for (size = 10; size >= 4; size -= 3) add(size, substr(key, 1, size), v)
}
function add(size, key, v) {
    if (!((size, key) in sums) && groups[size] < 10000) keys[size, ++groups[size]] = key
    sums[size, key] += v; counts[size, key]++
}
# Sets name[1..points] and point[1..points]: the labels and values of the chart, in drawing order.
function make_points(   size, wanted, i, best, key, rest) {
    if (!group) { make_bins(); return }
    is_line = kind[group] == "date"
    size = !is_line ? 0 : groups[10] <= 60 ? 10 : groups[7] <= 60 ? 7 : 4
    wanted = is_line ? 240 : is_calendar[group] ? 24 : 12
    while (points < wanted && points < groups[size]) {
        best = ""
        for (i = 1; i <= groups[size]; i++) {
            key = keys[size, i]
            if (!(key in taken) && (best == "" || comes_before(size, key, best))) best = key
        }
        taken[best] = 1; name[++points] = best; point[points] = group_value(size, best)
    }
    if (is_line) { is_line = points > 1; return }
    for (i = 1; i <= groups[size]; i++) if (!(keys[size, i] in taken)) rest += sums[size, keys[size, i]]
    if (is_mean || groups[size] == points) return
    name[points + 1] = groups[size] - points " others"; point[++points] = rest
}
function group_value(size, key) { return is_mean ? sums[size, key] / counts[size, key] : sums[size, key] }
function comes_before(size, a, b) {
    if (is_line) return a "" < b ""
    if (is_calendar[group] || group_value(size, a) < group_value(size, b)) return 0
    return group_value(size, a) > group_value(size, b) || a "" < b ""
}
# Makes a histogram for a table without groups: counts the values in ten ranges of equal size.
function make_bins(   i, low, size) {
    if (!plain_values) return
    low = minimum[value]; size = (maximum[value] - low) / 10
    points = size ? 10 : 1
    for (i = 1; i <= points; i++) {
        point[i] = 0
        name[i] = show(low + (i - 1) * size) (size ? " \342\200\223 " show(low + i * size) : "")
    }
    for (i = 1; i <= plain_values; i++) point[plain_value[i] < maximum[value] ? int((plain_value[i] - low) / size) + 1 : points]++
}

# ---- Chart
function text(x, y, s, size, anchor, more) {
    printf "<text x=\"%.1f\" y=\"%.1f\" font-size=\"%d\" text-anchor=\"%s\" fill=\"#444\"%s>%s</text>\n", x, y, size, anchor, more, xml(s) > svg
}
function rule(x1, y1, x2, y2, color) {
    printf "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\"/>\n", x1, y1, x2, y2, color > svg
}
function tip(i) { return "<title>" xml(name[i]) ": " show(point[i]) "</title>" }
# Sets the limits of the value axis (low, high) and the distance between its ticks (step). The axis includes zero, and
# its ticks are at round values.
function set_scale(   i, range) {
    for (i = 1; i <= points; i++) { if (point[i] < low) low = point[i]; if (point[i] > high) high = point[i] }
    if (low == high) high = low + 1
    range = high - low; step = 1
    while (step * 5 < range) step *= 10
    while (step >= range * 2) step /= 10
    if (step >= range) step /= 5
    else if (step * 2 >= range) step /= 2
    below = int(-low / step + 0.999999); above = int(high / step + 0.999999)
    low = -below * step; high = above * step
}
function place(v, from, to) { return from + (to - from) * (v - low) / (high - low) }
function start_chart(height) {
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 860 %d\" width=\"860\" height=\"%d\" role=\"img\" ", height, height > svg
    print "font-family=\"system-ui, Segoe UI, Helvetica, Arial, sans-serif\">\n<title>" xml(title) "</title>" > svg
    print "<rect width=\"860\" height=\"" height "\" fill=\"#ffffff\"/>" > svg
    text(24, 34, title, 19, "start", " font-weight=\"600\"")
    text(24, 54, axis ", from " file, 12, "start")
}
function draw_bars(   i, x, y, left, zero, bottom, start, size) {
    for (i = 1; i <= points; i++) if (length(shorten(name[i])) > left) left = length(shorten(name[i]))
    left = 44 + 7 * left; bottom = 76 + 30 * points; zero = place(0, left, 770)
    start_chart(bottom + 56)
    for (i = -below; i <= above; i++) {
        x = place(i * step, left, 770)
        rule(x, 76, x, bottom, i ? "#e3e6ea" : "#888")
        text(x, bottom + 18, show(i * step), 11, "middle")
    }
    for (i = 1; i <= points; i++) {
        x = place(point[i], left, 770); y = 51 + 30 * i
        start = x < zero ? x : zero; size = x < zero ? zero - x : x - zero
        printf "<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"20\" rx=\"2\" fill=\"#2f6fb5\">%s</rect>\n", start, y, size, tip(i) > svg
        text(left - 10, y + 15, shorten(name[i]), 12, "end")
        text((x < zero ? zero : x) + 6, y + 15, show(point[i]), 11, "start")
    }
    text((left + 770) / 2, bottom + 40, axis, 12, "middle")
}
function draw_line(   i, x, y, path, zero) {
    start_chart(460)
    for (i = -below; i <= above; i++) {
        y = place(i * step, 390, 76)
        rule(90, y, 814, y, i ? "#e3e6ea" : "#888")
        text(80, y + 4, show(i * step), 11, "end")
    }
    for (i = 1; i <= points; i++) {
        x = 90 + 724 * (i - 1) / (points - 1); y = place(point[i], 390, 76)
        path = path sprintf("%.1f,%.1f ", x, y)
        if (points <= 60) printf "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" fill=\"#2f6fb5\">%s</circle>\n", x, y, tip(i) > svg
        if ((i - 1) % int((points + 8) / 9) == 0) text(x, 410, name[i], 11, "middle")
    }
    zero = place(0, 390, 76)
    print "<polygon points=\"90," zero " " path "814," zero "\" fill=\"#2f6fb5\" fill-opacity=\"0.12\"/>" > svg
    print "<polyline points=\"" path "\" fill=\"none\" stroke=\"#2f6fb5\" stroke-width=\"2.5\"/>" > svg
    text(452, 436, across, 12, "middle")
    text(22, 233, axis, 12, "middle", " transform=\"rotate(-90 22 233)\"")
}

function draw_chart() {
    set_scale()
    if (is_line) draw_line(); else draw_bars()
    print "</svg>" > svg
}

# ---- Report
function tell(s) { print s; print s > md }
function tell_findings(   i, j, best, told, s, sum) {
    for (j = 1; j <= 3 && j <= points; j++) {
        best = 0
        for (i = 1; i <= points; i++) if (!(i in told) && (!best || point[i] > point[best])) best = i
        told[best] = 1
        s = s (j == 1 ? "- Highest: " : j == 2 ? ", then " : " and ") markdown(name[best]) " with " show(point[best])
    }
    tell(s ".")
    if (is_line) tell("- From " name[1] " at " show(point[1]) " to " name[points] " at " show(point[points]) ".")
    for (i = 1; i <= points; i++) sum += point[i]
    if (!is_mean) tell("- Total: " show(sum) ".")
    for (i = 1; i <= columns && j < 8; i++) if (kind[i] == "number" && filled[i]) {
        tell("- " markdown(heading[i]) ": " describe(i) "."); j++
    }
}
function describe(c) {
    if (!filled[c]) return "empty"
    if (kind[c] == "number")
        return show(minimum[c]) " to " show(maximum[c]) ", mean " show(total[c] / filled[c]) ", sum " show(total[c])
    return (distinct[c] < 10000 ? "" : "at least ") distinct[c] " different, most often " markdown(common[c]) " (" seen[c, common[c]] ")"
}
function report(   c, i, list, separator) {
    for (c = 1; c <= columns && c <= 12; c++) list = list (c > 1 ? ", " : "") markdown(heading[c]) " (" kind[c] ")"
    if (columns > 12) list = list " and " columns - 12 " more"
    separator = delimiter == "\t" ? "tabs" : delimiter == ";" ? "semicolons" : delimiter == "|" ? "bars" : "commas"
    print "# " markdown(file) "\n" > md
    tell("**" markdown(file) "** has " rows " rows, " columns " columns separated by " separator ": " list ".\n")
    if (points) {
        print "**" markdown(title) "**\n"
        print "## " markdown(title) "\n\n![" markdown(title) "](chart.svg)\n" > md
        tell_findings()
        print "\n| " markdown(across) " | " markdown(axis) " |\n| --- | ---: |" > md
        for (i = 1; i <= points && i <= 40; i++) print "| " markdown(name[i]) " | " show(point[i]) " |" > md
        if (points > 40) print "| \342\200\246 " points - 40 " more | |" > md
    } else tell("There are no rows, so there is no chart.")
    print "\n## Columns\n\n| column | kind | filled | missing | values |\n| --- | --- | ---: | ---: | --- |" > md
    for (c = 1; c <= columns; c++)
        print "| " markdown(heading[c]) " | " kind[c] " | " filled[c] + 0 " | " missing[c] + 0 " | " describe(c) " |" > md
    print "\nCreated by `" ENVIRON["SCRIPT"] "` from the whole file." > md
    print "\nFiles: `" md "`, " (points ? "`" svg "`, " : "") "`" ENVIRON["SCRIPT"] "`."
}
BEGIN {
    file = ENVIRON["FILE"]; md = "output/report.md"; svg = "output/chart.svg"
    inspect(); plan(); read_table(); make_points()
    if (points) draw_chart()
    report()
}'
