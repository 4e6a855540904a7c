package qstore

import (
	"context"
	"encoding/json"
)

// ended says whether a state is one that a job does not leave.
func ended(status string) bool {
	return status == "completed" || status == "failed" || status == "cancelled"
}

// StreamProgress is how far a job is now, and then each epoch and each change of its state, until it has ended. Nothing
// is missed and nothing comes twice, whatever becomes of the connection. ErrNotFound where there is no such job,
// ErrConnection where the server stayed away.
func (x *Jobs) StreamProgress(ctx context.Context, id string) *Stream[JobProgress] {
	return streamed(ctx, func(ctx context.Context, give func(JobProgress) bool) error {
		job, err := x.Get(ctx, id)
		if err != nil {
			return err
		}
		if !give(progressOf(job)) || ended(job.Status) {
			return nil
		}
		var failed error
		newest := job.Seq
		listening := Listening{About: id, LastSeq: &job.Seq}
		err = x.events.listen(ctx, listening, []string{"job.progress"}, func(event Event) bool {
			var update JobProgress
			seq := event.Seq
			if event.Reset {
				if job, failed = x.Get(ctx, id); failed != nil {
					return false
				}
				update, seq = progressOf(job), job.Seq
			} else if failed = json.Unmarshal(event.Data, &update); failed != nil {
				return false
			}
			// What the job itself said after a reset is newer than some that is told then.
			if seq <= newest {
				return true
			}
			newest = seq
			return give(update) && !ended(update.Status)
		})
		if failed != nil {
			return failed
		}
		return err
	})
}

// StreamMetrics is the metrics of each epoch from now on, until the job has ended.
func (x *Jobs) StreamMetrics(ctx context.Context, id string) *Stream[JobMetrics] {
	return streamed(ctx, func(ctx context.Context, give func(JobMetrics) bool) error {
		job, err := x.Get(ctx, id)
		if err != nil || ended(job.Status) {
			return err
		}
		epoch, last, over := job.Progress.CurrentEpoch, job.Progress.CurrentEpoch, false
		var failed error
		listening := Listening{About: id, LastSeq: &job.Seq}
		err = x.events.listen(ctx, listening, []string{"job.metrics", "job.progress"}, func(event Event) bool {
			switch {
			case event.Reset:
				if job, failed = x.Get(ctx, id); failed != nil {
					return false
				}
				epoch, last, over = job.Progress.CurrentEpoch, job.Progress.CurrentEpoch, ended(job.Status)
			case event.Channel == "job.metrics":
				var metrics JobMetrics
				if failed = json.Unmarshal(event.Data, &metrics); failed != nil || !give(metrics) {
					return false
				}
				epoch = metrics.Epoch
			default:
				var update JobProgress
				if failed = json.Unmarshal(event.Data, &update); failed != nil {
					return false
				}
				last, over = update.CurrentEpoch, ended(update.Status)
			}
			// The end may be told before the last metrics.
			return !over || epoch < last
		})
		if failed != nil {
			return failed
		}
		return err
	})
}

// FollowLogs is the last lines and then each that comes, until the job has ended; 100 lines if that is zero.
func (x *Jobs) FollowLogs(ctx context.Context, id string, lines int, level string) *Stream[LogLine] {
	return streamed(ctx, func(ctx context.Context, give func(LogLine) bool) error {
		query := logQuery(lines, level)
		query.Set("follow", "true")
		take := func(told message) (bool, error) {
			var line LogLine
			if err := json.Unmarshal(told.data, &line); err != nil {
				return false, err
			}
			return give(line), nil
		}
		// A stream ends with its job, and also with its server or its authority.
		over := func() (bool, error) {
			job, err := x.Get(ctx, id)
			return err == nil && ended(job.Status), err
		}
		return x.wire.follow(ctx, at(jobsPath, id, "logs"), query, "", 0, take, over)
	})
}

// Wait for a job until it has ended; a *JobFailed where it did not complete. `onProgress` may be nil.
func (x *Jobs) Wait(ctx context.Context, id string, onProgress func(JobProgress)) (*Job, error) {
	stream := x.StreamProgress(ctx, id)
	defer stream.Close()
	for stream.Next() {
		if onProgress != nil {
			onProgress(stream.Value())
		}
	}
	if err := stream.Err(); err != nil {
		return nil, err
	}
	job, err := x.Get(ctx, id)
	if err == nil && job.Status != "completed" {
		return job, &JobFailed{job}
	}
	return job, err
}

// progressOf is how far a job is, as an update.
func progressOf(job *Job) JobProgress {
	return JobProgress{
		JobID:        job.ID,
		Status:       job.Status,
		CurrentEpoch: job.Progress.CurrentEpoch,
		TotalEpochs:  job.Progress.TotalEpochs,
		CurrentLoss:  job.Progress.CurrentLoss,
		BestLoss:     job.Progress.BestLoss,
		EtaSeconds:   job.Progress.EtaSeconds,
		Reason:       job.Reason,
		ModelID:      job.ModelID,
		Timestamp:    job.UpdatedAt,
		Seq:          job.Seq,
	}
}
