//! The network of a run's commands: the notices in its stream, and the settings.

use runyard::{config::Config, sandbox::Network};
use runyard_upstream::{Call, Script, Turn};
use serde_json::{Value, json};

use crate::test_server::on_every_database_with;

/// Asks the proxy for two hosts. The first is on the list, but its address is not public.
const REQUESTS: &str = "for host in localhost:9 example.com:443; do
    exec 3<>/dev/tcp/127.0.0.1/3128 && printf 'CONNECT %s HTTP/1.1\\r\\n\\r\\n' $host >&3 && head -n 1 <&3
done 2>&1";

#[tokio::test]
async fn the_stream_of_a_run_shows_the_hosts_that_its_commands_request() {
    for network in [Network::Proxy, Network::None] {
        on_every_database_with(
            |_| {
                Script::turns([
                    Turn::calls([Call::new("bash", &json!({"command": REQUESTS}))]),
                    Turn::text("Done."),
                ])
            },
            |config| {
                config.sandbox.network = network;
                config.sandbox.allowed_hosts = vec!["localhost:9".to_owned()];
            },
            async |server| {
                let caller = server.caller("ann");
                let run = caller.start("x").await;
                let events = caller.events(&run, 0).await;
                let notices: Vec<&str> = events
                    .iter()
                    .filter(|event| event.event == "notice")
                    .map(|event| event.data["notice"]["message"].as_str().unwrap())
                    .collect();
                let result = events.iter().find(|event| event.event == "tool_result").unwrap();
                let text = result.data["tool_result"]["text"].as_str().unwrap();
                let system = server.upstream.requests()[0].messages()[0].to_string();
                if network == Network::Proxy {
                    assert_eq!(text.matches("403 Forbidden").count(), 2, "{text}");
                    assert_eq!(notices.len(), 2, "{notices:?}");
                    assert!(
                        notices[0].contains("localhost:9: refused, because the address"),
                        "{notices:?}"
                    );
                    assert!(
                        notices[1].contains("example.com:443: refused, because the host"),
                        "{notices:?}"
                    );
                    assert!(
                        system.contains("only these hosts, over HTTP and HTTPS: localhost:9."),
                        "{system}"
                    );
                } else {
                    assert_eq!(text.matches("/3128: Connection refused").count(), 2, "{text}");
                    assert_eq!(notices, [""; 0]);
                    assert!(system.contains("There is no network"), "{system}");
                }
                assert_eq!(caller.ended(&run).await["status"], Value::from("completed"));
            },
        )
        .await;
    }
}

#[test]
fn the_network_is_off_by_default_and_an_invalid_host_is_refused() {
    let config = Config::parse("runyard.toml", "").unwrap();
    assert_eq!(config.sandbox.network, Network::None);
    assert!(config.sandbox.allowed_hosts.iter().any(|host| host == "pypi.org"));
    let parse = |hosts: &str| {
        Config::parse(
            "runyard.toml",
            &format!("[sandbox]\nnetwork = \"proxy\"\nallowed_hosts = {hosts}\n"),
        )
    };
    assert_eq!(parse("[\"*.example.org\"]").unwrap().sandbox.network, Network::Proxy);
    let error = parse("[\"a.org\", \"https://pypi.org\"]").unwrap_err().to_string();
    assert!(
        error.contains("line 3") && error.contains("https://pypi.org"),
        "{error}"
    );
}
