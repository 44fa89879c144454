#!/bin/sh
# Usage: sh find.sh FILE
# Finds the slowest requests and the errors in a log, and writes output/report.md. A line is an error if its status is
# 500 or more, or if it has no status but contains a word such as "error". The script needs only sh and awk.
export LC_ALL=C FILE="$1" SCRIPT="$0"
mkdir -p output && exec awk '
# Returns the first duration in a line, converted to milliseconds; -1 if the line contains no duration.
function duration(s,   value) {
    if (!match(s, /[0-9]+([.][0-9]+)? ?(ms|s)([^a-zA-Z]|$)/)) return -1
    value = substr(s, RSTART, RLENGTH)
    return value ~ /ms/ ? value + 0 : value * 1000
}
function clock(s) { return match(s, /[0-9][0-9]:[0-9][0-9](:[0-9][0-9])?/) ? substr(s, RSTART, RLENGTH) : "" }
function quote(s) { gsub(/`/, "\047", s); gsub(/[\001-\037]/, " ", s); return "`" substr(s, 1, 200) "`" }
function tell(s) { print s; print s > md }
# Keeps the current line if it is one of the five slowest lines so far.
function keep(took,   i) {
    for (i = 5; i > 0 && (!(i in slow) || took > slow_ms[i]); i--) { slow[i + 1] = slow[i]; slow_ms[i + 1] = slow_ms[i] }
    if (i < 5) { slow[i + 1] = $0; slow_ms[i + 1] = took }
}
BEGIN { md = "output/report.md" }
{
    request = ""; status = 0; rest = $0
    if (match(rest, /(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) [^ "?]+/)) {
        request = substr(rest, RSTART, RLENGTH); rest = substr(rest, RSTART + RLENGTH)
        if (match(rest, /[ "=][1-5][0-9][0-9]( |$)/)) status = substr(rest, RSTART + 1, 3) + 0
        if (!(request in count)) names[++kinds] = request
        count[request]++; requests++
    }
    is_error = status ? status >= 500 : tolower($0) ~ /(^|[^a-z])(error|fatal|panic|exception|critical|failed)([^a-z]|$)/
    if (is_error) { errors++; if (errors <= 5) error[errors] = $0; failed[request]++; if (errors == 1) first = clock($0); last = clock($0) }
    took = duration(rest)
    if (took >= 0) { times[request]++; total[request] += took; if (took > most[request]) most[request] = took; keep(took) }
}
function print_request(r) { printf "| %s | %d | %d | %.0f | %.0f |\n", quote(r), count[r], failed[r], mean(r), most[r] > md }
function mean(r) { return times[r] ? total[r] / times[r] : 0 }
END {
    file = ENVIRON["FILE"]
    print "# " file "\n" > md
    period = first ? " (from " first " to " last ")" : ""
    tell("**" file "** has " NR " lines, " requests + 0 " requests and " errors + 0 " errors" period ".")
    for (i = 1; i <= kinds; i++) {
        if (worst == "" || mean(names[i]) > mean(worst)) worst = names[i]
        if (failing == "" || failed[names[i]] > failed[failing]) failing = names[i]
    }
    if (mean(worst)) tell("\n- Slowest on average: " quote(worst) " with " sprintf("%.0f", mean(worst)) " ms, up to " most[worst] " ms.")
    if (failed[failing]) tell("- Most errors: " quote(failing) " with " failed[failing] " of " errors ".")
    tell(1 in slow ? "\nThe slowest lines:\n" : "\nNo line contains a duration in ms or s.")
    for (i = 1; i <= 5 && slow[i] != ""; i++) tell("- " quote(slow[i]))
    if (errors) tell("\nThe " (errors > 5 ? "first " : "") "errors:\n")
    for (i = 1; i <= errors && i <= 5; i++) tell("- " quote(error[i]))
    if (kinds) print "\n| request | count | errors | mean ms | slowest ms |\n| --- | ---: | ---: | ---: | ---: |" > md
    for (i = 1; i <= kinds && i <= 40; i++) print_request(names[i])
    print "\nFiles: `" md "`, `" ENVIRON["SCRIPT"] "`."
}' <"$FILE"
