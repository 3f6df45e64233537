package demux

// Budget bounds the bytes that are held in memory.
type Budget interface {
	// Take asks for n bytes more; its error ends the reader.
	Take(n int64) error
	Give(n int64)
}

// Charge has the reader ask b for the bytes of headers and fragments that it holds. It gives them back as they are done with,
// but for those of its last call of Next.
func (m *MP4Reader) Charge(b Budget) { m.budget = b }

// held reads bytes that are going to be held.
type held struct{ m *MP4Reader }

func (h held) Read(p []byte) (int, error) {
	m := h.m
	n, err := m.r.Read(p)
	if m.budget == nil || n == 0 {
		return n, err
	}
	if budgetErr := m.budget.Take(int64(n)); budgetErr != nil {
		return 0, budgetErr
	}
	m.taken += int64(n)
	return n, err
}

// give is called when nothing is held.
func (m *MP4Reader) give() {
	if m.taken > 0 {
		m.budget.Give(m.taken)
		m.taken = 0
	}
}
