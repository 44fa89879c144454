//! Connects a sandbox without a network to a proxy of the service.
//!
//! A command keeps its own network namespace, which has only a loopback interface. Before the command runs, a short-lived
//! child of the service enters the sandbox's user and network namespaces, opens a listening socket on the sandbox's
//! 127.0.0.1 and passes the socket to the service. The service then accepts the connections of the command, and nothing
//! else from outside can be reached. Invariant: the child enters the namespaces as the project's user and executes no
//! program.

use std::{
    ffi::{CStr, CString},
    io,
    mem::{MaybeUninit, size_of},
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
        unix::net::UnixStream,
    },
    process::Command,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use tokio::net::TcpListener;

use super::{confine::checked, host::Host};

/// Port of the proxy on the sandbox's loopback.
pub const PORT: u16 = 3128;
/// Number of connections that the kernel queues until the service accepts them.
const BACKLOG: libc::c_int = 64;
/// Maximum time to wait for the child.
const MAX_WAIT: Duration = Duration::from_secs(5);
/// Returns the user namespace that owns a namespace (`ioctl_ns(2)`).
const NS_GET_USERNS: libc::Ioctl = 0xb701;

/// A proxy that serves the commands of a sandbox.
#[async_trait]
pub trait Gateway: Send + Sync {
    /// Serves the connections of one command. The future is dropped when the command has ended.
    async fn serve(self: Arc<Self>, listener: TcpListener);
}

/// Opens the listening socket in the network namespace of the process `first`. `owner` is the user who created the
/// namespace; `None` if the service runs as this user. Blocks; must be called within the tokio runtime.
pub fn open(host: &Host, owner: Option<u32>, first: i32) -> io::Result<TcpListener> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_read_timeout(Some(MAX_WAIT))?;
    let entry = Entry {
        network: CString::new(format!("/proc/{first}/ns/net"))?,
        owner,
        answer: theirs.as_raw_fd(),
    };
    // The child ends before it would execute this program.
    let mut command = Command::new("/nonexistent");
    command.env_clear();
    entry.apply_to(&mut command);
    let mut child = host.spawner.spawn(command)?;
    drop(theirs);
    let received = receive(&ours);
    // An error means that the child has already ended.
    let _ = child.kill();
    child.wait()?;
    let listener = std::net::TcpListener::from(received?);
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Values for the child. All are created before the fork, because the child must not allocate memory.
struct Entry {
    network: CString,
    owner: Option<u32>,
    answer: RawFd,
}

impl Entry {
    fn apply_to(self, command: &mut Command) {
        use std::os::unix::process::CommandExt as _;
        let parent = std::process::id();
        let enter = move || {
            self.send_listener(parent)?;
            // SAFETY: ends the child without running any code of the service.
            unsafe { libc::_exit(0) }
        };
        // SAFETY: `enter` runs in the forked child of a multi-threaded program, where only async-signal-safe functions
        // may be called. It only makes system calls on values created before the fork; it neither allocates nor locks.
        unsafe { command.pre_exec(enter) };
    }

    fn send_listener(&self, parent: u32) -> io::Result<()> {
        // SAFETY: plain system calls of this single-threaded child on valid values.
        unsafe {
            if let Some(id) = self.owner {
                checked(libc::setgroups(0, std::ptr::null()))?;
                checked(libc::setresgid(id, id, id))?;
                checked(libc::setresuid(id, id, id))?;
            }
            checked(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))?;
            if libc::getppid().unsigned_abs() != parent {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
        }
        let network = open_path(&self.network)?;
        // SAFETY: the descriptors are open. The owner of a user namespace has all rights in it.
        let user = unsafe { libc::ioctl(network, NS_GET_USERNS) };
        checked(user)?;
        unsafe {
            checked(libc::setns(user, libc::CLONE_NEWUSER))?;
            checked(libc::setns(network, libc::CLONE_NEWNET))?;
        }
        send(self.answer, listen()?)
    }
}

fn open_path(path: &CStr) -> io::Result<RawFd> {
    // SAFETY: the path is NUL-terminated.
    let descriptor = unsafe { libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
    checked(descriptor).map(|()| descriptor)
}

fn listen() -> io::Result<RawFd> {
    let address = libc::sockaddr_in {
        sin_family: libc::sa_family_t::try_from(libc::AF_INET).unwrap_or_default(),
        sin_port: PORT.to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from_ne_bytes([127, 0, 0, 1]),
        },
        sin_zero: [0; 8],
    };
    let size = libc::socklen_t::try_from(size_of::<libc::sockaddr_in>()).unwrap_or_default();
    // SAFETY: the address is valid for its size, and the descriptor is open.
    unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0);
        checked(socket)?;
        checked(libc::bind(socket, (&raw const address).cast(), size))?;
        checked(libc::listen(socket, BACKLOG))?;
        Ok(socket)
    }
}

/// A buffer for one message with one descriptor, aligned for the header of the control data.
#[repr(C, align(8))]
struct Control([u8; 64]);

/// Calls `use_it` with a message of one byte and room for one descriptor.
fn with_message<T>(use_it: impl FnOnce(&mut libc::msghdr) -> io::Result<T>) -> io::Result<T> {
    let mut byte = [0_u8];
    let mut part = libc::iovec {
        iov_base: byte.as_mut_ptr().cast(),
        iov_len: 1,
    };
    let mut control = Control([0; 64]);
    // SAFETY: a zeroed header is valid: null pointers with zero lengths.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    // SAFETY: computes a size only.
    let room = unsafe { libc::CMSG_SPACE(DESCRIPTOR_BYTES) };
    message.msg_controllen = room as _;
    use_it(&mut message)
}

/// Size of a descriptor in a message.
const DESCRIPTOR_BYTES: u32 = 4;
const _: () = assert!(size_of::<RawFd>() == 4);

fn send(socket: RawFd, descriptor: RawFd) -> io::Result<()> {
    with_message(|message| {
        // SAFETY: the control buffer has room for the header and one descriptor.
        unsafe {
            let header = libc::CMSG_FIRSTHDR(message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(DESCRIPTOR_BYTES) as _;
            libc::CMSG_DATA(header).cast::<RawFd>().write_unaligned(descriptor);
            checked(libc::sendmsg(socket, message, libc::MSG_NOSIGNAL) as i64)
        }
    })
}

/// Receives the descriptor that the child sends.
fn receive(socket: &UnixStream) -> io::Result<OwnedFd> {
    with_message(|message| {
        // SAFETY: the message's buffers are valid for the call. The kernel has written the headers that are read.
        unsafe {
            let count = libc::recvmsg(socket.as_raw_fd(), message, libc::MSG_CMSG_CLOEXEC);
            checked(count as i64)?;
            let header = libc::CMSG_FIRSTHDR(message);
            if count == 0 || header.is_null() || (*header).cmsg_type != libc::SCM_RIGHTS {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let descriptor = libc::CMSG_DATA(header).cast::<RawFd>().read_unaligned();
            Ok(OwnedFd::from_raw_fd(descriptor))
        }
    })
}
