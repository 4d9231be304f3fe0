//go:build unix

package guest

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	// logUploadEvery is the least time between two uploads of a log that grows: Cloud Storage takes one write of an object a
	// second.
	logUploadEvery = 1500 * time.Millisecond
	// logUploadRate is how many bytes a second uploads take at most on average. Each is of the whole log, so that a
	// reader needs one object and any offset of it.
	logUploadRate = 2 << 20
)

// logCopy is our own copy of what a phase printed, for the store: stdout belongs to the supervisor and cannot be
// read back.
type logCopy struct {
	address string
	file    *os.File
	every   time.Duration

	mu   sync.Mutex
	size int64
}

func newLogCopy(dir, name, address string) (*logCopy, error) {
	file, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	return &logCopy{address: address, file: file, every: logUploadEvery}, err
}

// Write appends to the copy.
func (c *logCopy) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := c.file.WriteAt(p, c.size)
	c.size += int64(n)
	return n, err
}

func (c *logCopy) Close() error { return c.file.Close() }

// keepUploading uploads the log from time to time while it grows, until the function it returns is called. The first
// upload comes early: that is when somebody is looking.
func (c *logCopy) keepUploading(ctx context.Context, log *phaseLog) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		sent := int64(0)
		for pause := c.every / 10; ; {
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
			size := c.length()
			if size == sent {
				continue
			}
			if err := c.upload(ctx); err != nil {
				if ctx.Err() == nil {
					log.system("the log could not be uploaded: %s", sentence(err))
				}
			} else {
				sent = size
			}
			pause = max(c.every, time.Duration(size)*time.Second/logUploadRate)
		}
	}()
	return func() { cancel(); <-done }
}

func (c *logCopy) length() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.size
}

// upload stores the log as it is now.
func (c *logCopy) upload(ctx context.Context) error {
	size := c.length()
	return writeObject(ctx, c.address, func(w io.Writer) error {
		_, err := io.Copy(w, io.NewSectionReader(c.file, 0, size))
		return err
	})
}
