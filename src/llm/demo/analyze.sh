#!/bin/sh
# Summarizes a table into output/report.md and output/chart.svg, using only sh and awk.
__PLAN__
export LC_ALL=C
mkdir -p output
exec awk '
function trim(s) { gsub(/^[ \t\r]+|[ \t\r]+$/, "", s); return s }
function is_missing(s) { return s == "" || tolower(s) ~ /^(-|na|n\/a|nan|null|none)$/ }
function number(s) {
    s = trim(s); gsub(/\302\240|\342\202\254|\302\243|\302\245|[$% ]|\047/, "", s)
    if (decimal == ",") { gsub(/[.]/, "", s); sub(/,/, ".", s) } else gsub(/,/, "", s)
    is_number = s ~ /^[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]+)?$/
    return s + 0
}
function show(v,   s, sign, whole, part, out) {
    if (v >= 1e15 || v <= -1e15) return sprintf("%g", v)
    s = sprintf("%.2f", v); sub(/[.]?0+$/, "", s)
    if (s == "-0") s = "0"
    sign = ""; if (s ~ /^-/) { sign = "-"; s = substr(s, 2) }
    whole = s; part = ""
    if (match(s, /[.]/)) { whole = substr(s, 1, RSTART - 1); part = substr(s, RSTART) }
    out = ""
    while (length(whole) > 3) { out = "," substr(whole, length(whole) - 2) out; whole = substr(whole, 1, length(whole) - 3) }
    return sign whole out part
}
function xml(s) { gsub(/[\001-\037]/, "", s); gsub(/&/, "\\&amp;", s); gsub(/</, "\\&lt;", s); gsub(/>/, "\\&gt;", s); return s }
function clean(s) { gsub(/[ \t\r\n]+/, " ", s); gsub(/[|]/, "\\|", s); gsub(/</, "\\&lt;", s); return trim(s) }
# Counts the characters of UTF-8 text, and cuts it between characters.
function chars(s) { gsub(/[\200-\277]/, "", s); return length(s) }
function shorten(s, limit,   i, n, c) {
    if (chars(s) <= limit) return s
    for (i = 1; i <= length(s); i++) {
        c = substr(s, i, 1)
        if (c !~ /[\200-\277]/ && ++n == limit) return substr(s, 1, i - 1) "\342\200\246"
    }
    return s
}
# Splits a record into cells[1..n].
function cut_record(s,   n, i, c, quoted, field, size) {
    if (index(s, "\"") == 0) return split(s, cells, delimiter)
    n = 0; field = ""; quoted = 0; size = length(s)
    for (i = 1; i <= size; i++) {
        c = substr(s, i, 1)
        if (quoted) {
            if (c != "\"") field = field c
            else if (substr(s, i + 1, 1) == "\"") { field = field c; i++ }
            else quoted = 0
        } else if (c == "\"" && trim(field) == "") { quoted = 1; field = "" }
        else if (c == delimiter) { cells[++n] = field; field = "" }
        else field = field c
    }
    cells[++n] = field
    return n
}
# Reads the next non-empty record. Quoted fields may contain line breaks.
function next_record(   record, more, quotes, copy) {
    while ((getline record < file) > 0) {
        if (!seen_first) { sub(/^\357\273\277/, "", record); seen_first = 1 }
        copy = record; quotes = gsub(/"/, "", copy)
        while (quotes % 2 && length(record) < 1000000 && (getline more < file) > 0) {
            record = record "\n" more; copy = more; quotes += gsub(/"/, "", copy)
        }
        sub(/\r$/, "", record)
        copy = record; gsub(/[ \t"]/, "", copy); gsub("[" delimiter "]", "", copy)
        if (copy != "") { width = cut_record(record); return 1 }
    }
    close(file); return 0
}
function text(x, y, s, size, anchor, fill, more) {
    printf "<text x=\"%.1f\" y=\"%.1f\" font-size=\"%d\" text-anchor=\"%s\" fill=\"%s\"%s>%s</text>\n", x, y, size, anchor, fill, more, xml(s) > svg
}
function make_ticks(   rough, power, step, i, factor, from, to) {
    low = 0; high = 0
    for (i = 1; i <= points; i++) { if (value[i] < low) low = value[i]; if (value[i] > high) high = value[i] }
    if (high == low) high = low + 1
    rough = (high - low) / 5; power = 1
    while (power > rough) power /= 10
    while (power * 10 <= rough) power *= 10
    split("1 2 2.5 5 10", factor, " ")
    for (i = 1; i <= 5; i++) { step = factor[i] * power; if (step >= rough * 0.999) break }
    from = int(low / step); if (from * step > low + step * 1e-9) from--
    to = int(high / step); if (to * step < high - step * 1e-9) to++
    marks = 0
    for (i = from; i <= to; i++) mark[++marks] = step * i
    low = mark[1]; high = mark[marks]
}
function open_svg(width, height) {
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\" font-family=\"system-ui, Segoe UI, Helvetica, Arial, sans-serif\">\n", width, height, width, height > svg
    printf "<title>%s</title>\n<rect width=\"%d\" height=\"%d\" fill=\"#ffffff\"/>\n", xml(title), width, height > svg
    text(24, 34, title, 19, "start", "#111", " font-weight=\"600\""); text(24, 54, subtitle, 12, "start", "#666")
}
function across_x(v) { return left + (right - left) * (v - low) / (high - low) }
function draw_bars(   i, x, y, zero, longest, n) {
    longest = 0
    for (i = 1; i <= points; i++) { n = chars(shorten(name[i], 26)); if (n > longest) longest = n }
    left = 44 + 7 * longest; right = 770; top = 76; bottom = top + 30 * points
    make_ticks(); open_svg(860, bottom + 56); zero = across_x(0)
    for (i = 1; i <= marks; i++) {
        x = across_x(mark[i])
        printf "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" stroke=\"#e3e6ea\"/>\n", x, top, x, bottom > svg
        text(x, bottom + 18, show(mark[i]), 11, "middle", "#666")
    }
    for (i = 1; i <= points; i++) {
        y = top + 30 * (i - 1) + 5; x = across_x(value[i])
        printf "<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"20\" rx=\"2\" fill=\"#2f6fb5\"><title>%s: %s</title></rect>\n", (x < zero ? x : zero), y, (x < zero ? zero - x : x - zero), xml(name[i]), show(value[i]) > svg
        text(left - 10, y + 15, shorten(name[i], 26), 12, "end", "#333")
        text((x > zero ? x : zero) + 6, y + 15, show(value[i]), 11, "start", "#444")
    }
    printf "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" stroke=\"#888\"/>\n", zero, top, zero, bottom > svg
    text((left + right) / 2, bottom + 40, axis, 12, "middle", "#333")
    print "</svg>" > svg; close(svg)
}
function line_x(i) { return left + (right - left) * (i - 1) / (points > 1 ? points - 1 : 1) }
function line_y(v) { return bottom - (bottom - top) * (v - low) / (high - low) }
function draw_line(   i, path, every) {
    left = 90; right = 814; top = 76; bottom = 390
    make_ticks(); open_svg(860, 460)
    for (i = 1; i <= marks; i++) {
        printf "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke=\"#e3e6ea\"/>\n", left, line_y(mark[i]), right, line_y(mark[i]) > svg
        text(left - 10, line_y(mark[i]) + 4, show(mark[i]), 11, "end", "#666")
    }
    path = ""
    for (i = 1; i <= points; i++) path = path sprintf("%.1f,%.1f ", line_x(i), line_y(value[i]))
    printf "<polygon points=\"%.1f,%.1f %s%.1f,%.1f\" fill=\"#dce9f6\"/>\n", left, line_y(0), path, line_x(points), line_y(0) > svg
    printf "<polyline points=\"%s\" fill=\"none\" stroke=\"#2f6fb5\" stroke-width=\"2.5\"/>\n", path > svg
    every = int((points + 8) / 9); if (every < 1) every = 1
    for (i = 1; i <= points; i++) {
        if (points <= 60) printf "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" fill=\"#2f6fb5\"><title>%s: %s</title></circle>\n", line_x(i), line_y(value[i]), xml(name[i]), show(value[i]) > svg
        if ((i - 1) % every == 0) text(line_x(i), bottom + 20, name[i], 11, "middle", "#666")
    }
    printf "<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" stroke=\"#888\"/>\n", left, bottom, right, bottom > svg
    text((left + right) / 2, bottom + 46, across, 12, "middle", "#333")
    text(22, (top + bottom) / 2, axis, 12, "middle", "#333", sprintf(" transform=\"rotate(-90 22 %.1f)\"", (top + bottom) / 2))
    print "</svg>" > svg; close(svg)
}
function merge(size,   key, i, n) {
    if (groups <= 60) return
    n = 0
    for (i = 1; i <= groups; i++) {
        key = substr(group_name[i], 1, size)
        if (!(key in merged)) { merged[key] = ++n; merged_name[n] = key; merged_sum[n] = 0; merged_count[n] = 0 }
        merged_sum[merged[key]] += group_sum[i]; merged_count[merged[key]] += group_count[i]
    }
    for (i = 1; i <= n; i++) { group_name[i] = merged_name[i]; group_sum[i] = merged_sum[i]; group_count[i] = merged_count[i] }
    for (key in merged) delete merged[key]
    groups = n
}
function group_value(i) { return how == "mean" ? group_sum[i] / group_count[i] : group_sum[i] }
function before(a, b) {
    if (shape == "line") return group_name[a] < group_name[b]
    return group_value(a) > group_value(b) || (group_value(a) == group_value(b) && group_name[a] < group_name[b])
}
function make_series(   i, j, best, wanted, rest, rest_count) {
    points = 0
    if (shape == "histogram") { make_histogram(); return }
    if (shape == "line") { merge(7); merge(4) }
    wanted = (shape == "line") ? 240 : (order == "seen") ? 24 : 12
    if (order == "seen" && shape != "line") {
        for (i = 1; i <= groups && i <= wanted; i++) { name[++points] = group_name[i]; value[points] = group_value(i) }
        return
    }
    for (j = 1; j <= groups && j <= wanted; j++) {
        best = 0
        for (i = 1; i <= groups; i++) if (!(i in taken) && (!best || before(i, best))) best = i
        taken[best] = 1; name[++points] = group_name[best]; value[points] = group_value(best)
    }
    if (shape == "line" || how == "mean" || groups <= wanted) return
    for (i = 1; i <= groups; i++) if (!(i in taken)) { rest += group_sum[i]; rest_count++ }
    name[++points] = rest_count " others"; value[points] = rest
}
function make_histogram(   bins, size, i, v, slot) {
    if (!filled[value_column]) return
    bins = maximum[value_column] > minimum[value_column] ? 10 : 1
    size = (maximum[value_column] - minimum[value_column]) / bins; if (size == 0) size = 1
    for (i = 1; i <= bins; i++) value[i] = 0
    row = 0; seen_first = 0
    while (next_record()) {
        if (++row <= header) continue
        v = number(value_column <= width ? cells[value_column] : "")
        if (!is_number) continue
        slot = int((v - minimum[value_column]) / size) + 1; if (slot > bins) slot = bins
        value[slot]++
    }
    points = bins
    for (i = 1; i <= bins; i++) name[i] = show(minimum[value_column] + (i - 1) * size) " \342\200\223 " show(minimum[value_column] + i * size)
    if (bins == 1) name[1] = show(minimum[value_column])
}
function describe(c,   k) {
    if (!filled[c]) return "empty"
    if (kind[c] == "number") return show(minimum[c]) " to " show(maximum[c]) ", mean " show(total[c] / filled[c]) ", sum " show(total[c])
    return (distinct[c] >= 10000 ? "at least " : "") distinct[c] " different, most often " clean(common[c]) " (" counts[c, common[c]] ")"
}
BEGIN {
    file = ENVIRON["PLAN_FILE"]; delimiter = ENVIRON["PLAN_DELIMITER"]; header = ENVIRON["PLAN_HEADER"] + 0
    decimal = ENVIRON["PLAN_DECIMAL"]; group_column = ENVIRON["PLAN_GROUP"] + 0; value_column = ENVIRON["PLAN_VALUE"] + 0
    how = ENVIRON["PLAN_HOW"]; shape = ENVIRON["PLAN_SHAPE"]; order = ENVIRON["PLAN_ORDER"]; title = ENVIRON["PLAN_TITLE"]
    subtitle = ENVIRON["PLAN_SUBTITLE"]; axis = ENVIRON["PLAN_AXIS"]; across = ENVIRON["PLAN_ACROSS"]
    columns = split(ENVIRON["PLAN_NAMES"], heading, "\n"); split(ENVIRON["PLAN_KINDS"], kind, "\n")
    svg = "output/chart.svg"; md = "output/report.md"; groups = 0; rows = 0
    while (next_record()) {
        if (++row <= header) continue
        rows++
        for (c = 1; c <= columns; c++) {
            cell = c <= width ? trim(cells[c]) : ""
            if (is_missing(cell)) { missing[c]++; continue }
            if (kind[c] == "number") {
                v = number(cell)
                if (!is_number) { missing[c]++; continue }
                if (!filled[c] || v < minimum[c]) minimum[c] = v
                if (!filled[c] || v > maximum[c]) maximum[c] = v
                total[c] += v
            } else if ((c, cell) in counts || distinct[c] < 10000) {
                if (!((c, cell) in counts)) distinct[c]++
                if (++counts[c, cell] > most[c]) { most[c] = counts[c, cell]; common[c] = cell }
            }
            filled[c]++
        }
        if (!group_column) continue
        key = group_column <= width ? trim(cells[group_column]) : ""
        if (key == "") key = "(empty)"
        if (shape == "line") { key = substr(key, 1, 10); gsub(/\//, "-", key); if (key !~ /^[0-9][0-9][0-9][0-9]/) continue }
        v = 1
        if (value_column) { v = number(value_column <= width ? cells[value_column] : ""); if (!is_number) continue }
        if (!(key in group)) { if (groups >= 10000) continue; group[key] = ++groups; group_name[groups] = key }
        group_sum[group[key]] += v; group_count[group[key]]++
    }
    if (rows) make_series()
    if (points) { if (shape == "line" && points > 1) draw_line(); else draw_bars() }
    printf "# %s\n\n%d rows, %d columns.\n\n", clean(file), rows, columns > md
    if (points) {
        printf "## %s\n\n![%s](chart.svg)\n\n| %s | %s |\n| --- | ---: |\n", clean(title), clean(title), clean(across), clean(axis) > md
        for (i = 1; i <= points && i <= 40; i++) printf "| %s | %s |\n", clean(name[i]), show(value[i]) > md
        if (points > 40) printf "| \342\200\246 %d more | |\n", points - 40 > md
        print "" > md
    } else print "There are no rows, so there is no chart.\n" > md
    print "## Columns\n\n| column | kind | filled | missing | values |\n| --- | --- | ---: | ---: | --- |" > md
    for (c = 1; c <= columns; c++) printf "| %s | %s | %d | %d | %s |\n", clean(heading[c]), kind[c], filled[c], missing[c], describe(c) > md
    print "\nCreated by `output/analyze.sh` from the whole file." > md; close(md)
    print "@@ facts"; print "rows\t" rows
    for (c = 1; c <= columns; c++) if (kind[c] == "number" && filled[c]) print "number\t" clean(heading[c]) "\t" show(minimum[c]) "\t" show(total[c] / filled[c]) "\t" show(maximum[c]) "\t" show(total[c])
    if (shape == "line" && points) { print "first\t" clean(name[1]) "\t" show(value[1]); print "last\t" clean(name[points]) "\t" show(value[points]) }
    for (j = 1; j <= 3 && j <= points; j++) {
        best = 0
        for (i = 1; i <= points; i++) if (!(i in named) && (!best || value[i] > value[best])) best = i
        named[best] = 1; print "top\t" clean(name[best]) "\t" show(value[best])
    }
    if (points && how != "mean") { for (i = 1; i <= points; i++) sum += value[i]; print "total\t" show(sum) }
    print "wrote\toutput/report.md"
    if (points) print "wrote\toutput/chart.svg"
    print "@@ end"
}
'
