// A smoke test of the Go module: an agent, a run with its events, a file, and an error with its details.
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
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	runyard "runyard.example/client/runyard/v1"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	connection, err := grpc.Dial(strings.TrimPrefix(os.Getenv("RUNYARD_SERVER"), "http://"), grpc.WithInsecure())
	check(err)
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 120*time.Second)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+os.Getenv("RUNYARD_TOKEN"))
	agents, runs := runyard.NewAgentServiceClient(connection), runyard.NewRunServiceClient(connection)
	sandboxes := runyard.NewSandboxServiceClient(connection)

	agent, err := agents.CreateAgent(ctx, &runyard.CreateAgentRequest{Name: "Go client"})
	check(err)
	fmt.Println("agent", agent.Name, agent.CurrentVersion.VersionName)

	prompt := "say: Hello from Go.\nwrite: output/go.txt | made for Go"
	started, err := runs.StartRun(ctx, &runyard.StartRunRequest{Prompt: &prompt, AgentId: agent.AgentId})
	check(err)
	stream, err := runs.StreamRun(ctx, &runyard.StreamRunRequest{AgentRunId: started.AgentRunId})
	check(err)
	said, end, cursor := "", runyard.RunStatus_RUN_STATUS_UNSPECIFIED, int64(0)
	for {
		event, err := stream.Recv()
		if err == io.EOF {
			break
		}
		check(err)
		// A heartbeat has no kind.
		if event.Event == nil {
			continue
		}
		cursor++
		if event.Sequence != cursor {
			panic(fmt.Sprint("a gap at ", cursor))
		}
		said += event.GetMessageDelta().GetText()
		if changed := event.GetStatus(); changed != nil {
			end = changed.Status
		}
	}
	fmt.Println("said", said)
	fmt.Println("ended", end)

	run, err := runs.GetRun(ctx, &runyard.GetRunRequest{AgentRunId: started.AgentRunId})
	check(err)
	files, err := sandboxes.ListFiles(ctx, &runyard.ListFilesRequest{SandboxId: run.GetSandboxId(), Path: "output"})
	check(err)
	for _, file := range files.Files {
		pieces, err := sandboxes.ReadFile(ctx, &runyard.ReadFileRequest{SandboxId: run.GetSandboxId(), Path: file.Path})
		check(err)
		content := ""
		for {
			piece, err := pieces.Recv()
			if err == io.EOF {
				break
			}
			check(err)
			content += string(piece.Data)
		}
		fmt.Printf("file %s: %s\n", file.Path, content)
	}

	_, err = agents.CreateAgent(ctx, &runyard.CreateAgentRequest{})
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			fmt.Printf("refused %v %s: %s\n", status.Code(err), info.Reason, status.Convert(err).Message())
		}
	}
}
