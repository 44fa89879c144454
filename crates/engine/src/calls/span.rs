//! The span of a tool call in a trace. Without a tracer of the process, a span costs next to nothing.

use opentelemetry::{
    Context, KeyValue, global,
    trace::{SpanKind, Status, TraceContextExt, Tracer},
};

use crate::{ToolOutcome, llm::ToolRequest};

/// Starts the span, a child of the current span. The attributes follow the semantic conventions for generative AI.
pub(super) fn of_call(request: &ToolRequest) -> Context {
    let tracer = global::tracer("runyard");
    let builder = tracer
        .span_builder(format!("execute_tool {}", request.name))
        .with_kind(SpanKind::Internal)
        .with_attributes([
            KeyValue::new("gen_ai.operation.name", "execute_tool"),
            KeyValue::new("gen_ai.tool.name", request.name.clone()),
            KeyValue::new("gen_ai.tool.call.id", request.id.clone()),
        ]);
    Context::current_with_span(builder.start(&tracer))
}

pub(super) fn ended(span: &Context, outcome: ToolOutcome) {
    let code = match outcome {
        ToolOutcome::Ok => return,
        ToolOutcome::Error => "tool_error",
        ToolOutcome::Fatal => "tool_failed",
    };
    span.span().set_attribute(KeyValue::new("error.type", code));
    span.span().set_status(Status::error(code));
}
