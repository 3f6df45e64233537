package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
)

// inheritedSockets returns the listening sockets that a service manager has handed on, as sd_listen_fds(3) has it: where
// LISTEN_PID is this process, descriptors 3 and LISTEN_FDS-1 that follow. Connections that come while nobody accepts wait in
// them, so that an encoder does not notice a restart.
func inheritedSockets(getenv func(string) string, pid int) (sockets []net.Listener, err error) {
	const first, most = 3, 16
	if getenv("LISTEN_PID") != strconv.Itoa(pid) {
		return nil, nil
	}
	n, err := strconv.Atoi(getenv("LISTEN_FDS"))
	if err != nil || n < 0 || n > most {
		return nil, fmt.Errorf("LISTEN_FDS is %q, not a number from 0 to %d", getenv("LISTEN_FDS"), most)
	}
	for fd := first; fd < first+n; fd++ {
		syscall.CloseOnExec(fd)
		f := os.NewFile(uintptr(fd), "inherited socket "+strconv.Itoa(fd))
		l, err := net.FileListener(f) // has a descriptor of its own
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, errors.Join(fmt.Errorf("taking over descriptor %d: %w", fd, err), closeAll(sockets))
		}
		sockets = append(sockets, l)
	}
	return sockets, nil
}

// bind returns the one of the inherited sockets that is bound to address, and the others; where there is none it opens one.
func bind(address string, inherited []net.Listener) (net.Listener, []net.Listener, error) {
	want, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, inherited, err
	}
	for i, l := range inherited {
		have, ok := l.Addr().(*net.TCPAddr)
		same := ok && have.Port == want.Port && (have.IP.Equal(want.IP) || unspecified(have.IP) && unspecified(want.IP))
		if same {
			return l, append(inherited[:i:i], inherited[i+1:]...), nil
		}
	}
	l, err := net.Listen("tcp", address)
	return l, inherited, err
}

// unspecified reports whether ip means all addresses of the machine.
func unspecified(ip net.IP) bool { return len(ip) == 0 || ip.IsUnspecified() }
