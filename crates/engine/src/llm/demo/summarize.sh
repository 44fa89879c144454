#!/bin/sh
# Usage: sh summarize.sh FILE TASK
# Summarizes a text: selects its most important sentences, counts its words, and writes output/report.md. A sentence is
# important if its words are frequent, or if it starts a paragraph. The script needs only sh and awk.
export LC_ALL=C FILE="$1" TASK="$2" SCRIPT="$0"
bytes=$(wc -c <"$FILE" | tr -d ' ')
mkdir -p output && exec awk -v bytes="$bytes" -v is_lead=1 '
function end_sentence() {
    if (sentence != "" && sentences < 5000) {
        text[++sentences] = sentence
        bonus[sentences] = is_lead * 0.5 - (sentence !~ /[.!]["\047)]*$/) - (split(sentence, part) < 4)
    }
    sentence = ""; is_lead = 0
}
# Stores the words of s that have four or more characters in words[1..n], and returns n.
function split_words(s, words,   all, i, n, parts) {
    parts = split(tolower(s), all, /[^a-z0-9\200-\377\047]+/)
    for (i = 1; i <= parts; i++) if (length(all[i]) > 3) words[++n] = all[i]
    return n + 0
}
function rate(s,   words, i, n, sum) {
    n = split_words(s, words)
    for (i = 1; i <= n; i++) sum += frequency[words[i]]
    return n ? sum / n / frequency[top[1]] : 0
}
# Returns the number of sentences that the task requests; 3 by default.
function wanted_sentences(   n, names) {
    n = split("one two three four five six seven eight nine ten", names)
    while (n && tolower(ENVIRON["TASK"]) !~ "(" names[n] "|" n ") sentence") n--
    return n ? n : 3
}
function comes_before(a, b) { return frequency[a] > frequency[b] || (frequency[a] == frequency[b] && a < b) }
function summary(   i, j, best, chosen, score, s) {
    for (i = 1; i <= sentences; i++) score[i] = rate(text[i]) + bonus[i]
    for (j = wanted_sentences(); j > 0; j--) {
        best = 0
        for (i = 1; i <= sentences; i++) if (!(i in chosen) && (!best || score[i] > score[best])) best = i
        chosen[best] = 1
    }
    for (i = 1; i <= sentences; i++) if (i in chosen) s = s "> " text[i] "\n"
    gsub(/[<`|]/, "\\\\&", s)
    return s
}
{
    count = split_words($0, words)
    for (i = 1; i <= count; i++) if (words[i] in frequency || kinds < 100000) { kinds += !(words[i] in frequency); frequency[words[i]]++ }
    total += NF
    for (i = 1; i <= NF; i++) {
        sentence = sentence (sentence == "" ? "" : " ") $i
        if ($i ~ /[a-z0-9\200-\377)][.!?]["\047)]*$/) end_sentence()
    }
    if (NF == 0) { blank++; end_sentence() }
    if (sentence == "") is_lead = 1
}
END {
    end_sentence()
    for (tops = 0; tops < 10 && tops < kinds; top[++tops] = best) {
        best = ""
        for (word in frequency) if (!(word in taken) && (best == "" || comes_before(word, best))) best = word
        taken[best] = 1
    }
    file = ENVIRON["FILE"]; md = "output/report.md"; findings = summary()
    counts = NR " lines (" blank + 0 " of them blank), " total + 0 " words and " bytes " bytes"
    print "The most important sentences of **" file "**:\n\n" findings "\nIt has " counts "."
    print "# " file "\n\n" findings "\nThe file has " counts ".\n\n| word | count |\n| --- | ---: |" > md
    for (i = 1; i <= tops; i++) print "| " top[i] " | " frequency[top[i]] " |" > md
    for (i = 1; i <= 3 && frequency[top[i]] > 1; i++) list = list (i > 1 ? ", " : "") top[i] " (" frequency[top[i]] ")"
    if (list) print "The most frequent words of four letters or more: " list "."
    print "\nFiles: `" md "`, `" ENVIRON["SCRIPT"] "`."
}' <"$FILE"
