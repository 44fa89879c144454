#!/usr/bin/env bash
# Plays the scenario of tests/foreign/scenario.py: client.sh TOOL. TOOL is buf-grpc, buf-grpc-web, buf-connect or
# grpcurl.
set -uo pipefail

tool=$1
errors=$(mktemp)
trap 'rm -f "$errors"' EXIT
server=${RUNYARD_SERVER#http://}

# call METHOD REQUEST [OPTION...]: prints the responses, and writes an error to $errors, both as JSON.
call() {
    local method=runyard.v1.$1 request=$2
    shift 2
    case $tool in
    grpcurl)
        grpcurl -plaintext -format-error -import-path "$RUNYARD_PROTO" -proto runyard/v1/agents.proto -proto runyard/v1/runs.proto \
            -proto runyard/v1/errors.proto -proto google/rpc/error_details.proto -H "authorization: Bearer ${token:-$RUNYARD_TOKEN}" \
            -d "$request" "$@" "$server" "$method" 2>"$errors"
        ;;
    buf-*)
        local options=(--protocol grpc --http2-prior-knowledge)
        case $tool in
        buf-grpc-web) options=(--protocol grpcweb) ;;
        buf-connect) options=() ;;
        esac
        buf curl --schema "$RUNYARD_PROTO" "${options[@]}" -H "authorization: Bearer ${token:-$RUNYARD_TOKEN}" \
            -d "$request" "$@" "$RUNYARD_SERVER/$method" 2>"$errors"
        ;;
    esac
}

# Prints the code of the last error, or OK. grpcurl reports the code as a number, buf as a name.
code() {
    [ -s "$errors" ] || { echo OK; return; }
    jq -r '.code as $code | if ($code | type) == "number" then ["OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
        "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"][$code]
        else $code end' "$errors"
}

# Prints each detail of the last error as a JSON object with its type in "@type". grpcurl decodes details; buf prints
# them as base64 without padding.
details() {
    if [ "$tool" = grpcurl ]; then
        jq -c '.details[]' "$errors"
        return
    fi
    local type value
    while read -r type value; do
        while ((${#value} % 4)); do value+='='; done
        base64 --decode <<<"$value" |
            buf convert "$RUNYARD_PROTO" --type "$type" --from '-#format=binpb' --to '-#format=json' |
            jq -c --arg type "$type" '. + {"@type": $type}'
    done < <(jq -r '.details[] | "\(.type) \(.value)"' "$errors")
}

# refused METHOD REQUEST: makes a call that must fail, and prints the details of the error.
refused() {
    call "$1" "$2" >/dev/null
    echo "refused $(code) $(details | jq -rs '[.[] | (.["@type"] | split("/")[-1]) as $type |
        if $type == "google.rpc.ErrorInfo" then .reason
        elif $type == "google.rpc.BadRequest" then .fieldViolations[] | "field=\(.field)"
        elif $type == "runyard.v1.Refusal" then "plan=\(.tierName) \(.currentCount)/\(.limit)"
        else empty end] | join(" ")')"
}

# stream RUN [OPTION...]: streams the events after $sequence, and updates $sequence, $text and $end. jq prints one
# line per event: sequence number, kind and value. Heartbeats have no kind.
stream() {
    local run=$1 number kind value
    shift
    while IFS=$'\t' read -r number kind value; do
        sequence=$number
        echo "event $sequence"
        case $kind in
        messageDelta) text+=$value ;;
        toolCall) echo "tool $value" ;;
        status) [ "$value" = RUN_STATUS_RUNNING ] || end=$value ;;
        esac
    done < <(call RunService/StreamRun "{\"agent_run_id\": \"$run\", \"after_sequence\": $sequence}" "$@" |
        jq --unbuffered -r '(keys - ["agentRunId", "sequence", "createdAt"])[0] as $kind | select($kind) | "\(.sequence)\t\($kind)\t" +
            (if .messageDelta then .messageDelta.text elif .toolCall then "\(.toolCall.name) \(.toolCall.arguments.path)"
             elif .status then .status.status else "" end)')
}

token=a.b.c refused AgentService/ListAgents '{}'
refused AgentService/GetAgent '{"agent_id": "nonsense"}'
refused AgentService/CreateAgent '{"name": "One more"}'

start() { call RunService/StartRun "$(jq -n --arg prompt "$1" '{prompt: $prompt}')"; }
started=$(start "$RUNYARD_PROMPT")
echo "started $(jq -r .status <<<"$started")"
run=$(jq -r .agentRunId <<<"$started")
[ -n "$run" ] || { cat "$errors" >&2; exit 1; }
sequence=0 text='' end=''
while [ -z "$end" ]; do
    stream "$run"
    [ -n "$end" ] || { echo "broken $(code)"; sleep 0.2; }
done
echo "text $text"
echo "ended $end"

run=$(start "$RUNYARD_SLOW_PROMPT" | jq -r .agentRunId)
sequence=0 text='' end=''
case $tool in
grpcurl) limit=(-max-time 2) ;;
buf-*) limit=(--timeout 2s) ;;
esac
stream "$run" "${limit[@]}" >/dev/null
echo "deadline $(code)"

call RunService/StopRun "{\"agent_run_id\": \"$run\"}" >/dev/null
stream "$run" >/dev/null
echo "stopped $end"
