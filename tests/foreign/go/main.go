// Plays the scenario of tests/foreign/scenario.py with grpc-go.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	v1 "runyard/generated/runyard/v1"
)

// Progress contains the events of a run that this client has received so far.
type Progress struct {
	id       string
	sequence int64
	text     strings.Builder
	end      string
}

// take records an event. It returns false for a heartbeat.
func (run *Progress) take(event *v1.RunEvent) bool {
	switch kind := event.Event.(type) {
	case nil:
		return false
	case *v1.RunEvent_MessageDelta:
		run.text.WriteString(kind.MessageDelta.Text)
	case *v1.RunEvent_ToolCall:
		fmt.Println("tool", kind.ToolCall.Name, kind.ToolCall.Arguments.Fields["path"].GetStringValue())
	case *v1.RunEvent_Status:
		if kind.Status.Status != v1.RunStatus_RUN_STATUS_RUNNING {
			run.end = kind.Status.Status.String()
		}
	}
	run.sequence = event.Sequence
	return true
}

// stream receives the events after the last received one until the stream ends, and calls taken after each event.
func (run *Progress) stream(ctx context.Context, runs v1.RunServiceClient, taken func()) error {
	events, err := runs.StreamRun(ctx, &v1.StreamRunRequest{AgentRunId: run.id, AfterSequence: run.sequence})
	if err != nil {
		return err
	}
	for {
		event, err := events.Recv()
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if run.take(event) {
			taken()
		}
	}
}

// follow streams a run to its end. It opens a new stream whenever the stream breaks.
func (run *Progress) follow(ctx context.Context, runs v1.RunServiceClient) {
	for run.end == "" {
		err := run.stream(ctx, runs, func() { fmt.Println("event", run.sequence) })
		if run.end == "" {
			fmt.Println("broken", codeOf(err))
			time.Sleep(200 * time.Millisecond)
		}
	}
}

// codeOf returns OK if err is nil, and Unknown if err is not a gRPC error.
func codeOf(err error) codes.Code {
	return status.Code(err)
}

func refused(_ interface{}, err error) {
	words := []interface{}{"refused", codeOf(err)}
	for _, detail := range status.Convert(err).Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			words = append(words, detail.Reason)
		case *errdetails.BadRequest:
			for _, violation := range detail.FieldViolations {
				words = append(words, "field="+violation.Field)
			}
		case *v1.Refusal:
			words = append(words, "plan="+detail.GetTierName(), fmt.Sprintf("%d/%d", detail.GetCurrentCount(), detail.GetLimit()))
		}
	}
	fmt.Println(words...)
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func bearer(token string) context.Context {
	return metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+token)
}

func start(ctx context.Context, runs v1.RunServiceClient, prompt string) *v1.StartRunResponse {
	text := os.Getenv(prompt)
	started, err := runs.StartRun(ctx, &v1.StartRunRequest{Prompt: &text})
	must(err)
	return started
}

func main() {
	// Without keepalive, a client does not notice that the network drops all packets.
	pings := grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 5 * time.Second})
	channel, err := grpc.Dial(strings.TrimPrefix(os.Getenv("RUNYARD_SERVER"), "http://"), grpc.WithInsecure(), pings)
	must(err)
	defer channel.Close()
	runs := v1.NewRunServiceClient(channel)
	agents := v1.NewAgentServiceClient(channel)
	caller := bearer(os.Getenv("RUNYARD_TOKEN"))

	refused(agents.ListAgents(bearer("a.b.c"), &v1.ListAgentsRequest{}))
	refused(agents.GetAgent(caller, &v1.GetAgentRequest{AgentId: "nonsense"}))
	refused(agents.CreateAgent(caller, &v1.CreateAgentRequest{Name: "One more"}))

	started := start(caller, runs, "RUNYARD_PROMPT")
	fmt.Println("started", started.Status)
	run := &Progress{id: started.AgentRunId}
	run.follow(caller, runs)
	fmt.Println("text", run.text.String())
	fmt.Println("ended", run.end)

	run = &Progress{id: start(caller, runs, "RUNYARD_SLOW_PROMPT").AgentRunId}
	limited, end := context.WithTimeout(caller, 2*time.Second)
	fmt.Println("deadline", codeOf(run.stream(limited, runs, func() {})))
	end()

	cancellable, cancel := context.WithCancel(caller)
	fmt.Println("cancelled", codeOf((&Progress{id: run.id}).stream(cancellable, runs, cancel)))

	_, err = runs.StopRun(caller, &v1.StopRunRequest{AgentRunId: run.id})
	must(err)
	must(run.stream(caller, runs, func() {}))
	fmt.Println("stopped", run.end)
}
