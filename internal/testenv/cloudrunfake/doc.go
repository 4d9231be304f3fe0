// Package cloudrunfake is a Cloud Run for one machine: a gRPC server of the Cloud Run Admin API v2 (Jobs, Executions,
// Services, Instances and their long-running operations) that really runs what containers would run, as child processes or,
// for tests of many cases, as functions. A client library talks to it as to the real one.
//
// # What is as on Google Cloud
//
//	names and ids        services, instances and jobs: lowercase letters, digits and hyphens, a letter first, no hyphen
//	                     last, fewer than 50 characters (services, instances) or 63 (jobs); label keys and values ≤ 63
//	create               ALREADY_EXISTS for a taken id, also while its owner is being deleted; a service and an instance
//	                     share one name space
//	etags                an etag that is given and is not the present one is ABORTED, and changes nothing
//	operations           every change returns an operation at once, with the resource as metadata; it is done later.
//	                     Resources tell by reconciling and terminal_condition. RunJob's operation lasts as long as its execution
//	overrides            env is merged over the template's, args replace, timeout and task count replace
//	executions           have generated names, end as succeeded, failed or cancelled, are kept after their end (the last
//	                     1,000 of a job) and are found by listing only: there is no filter
//	lists                newest first, page tokens, at most 100 a page; `jobs/-` lists the executions of all jobs
//	quotas               RESOURCE_EXHAUSTED beyond the number of services, jobs, instances, running executions, and beyond a
//	                     rate of writes
//	services             a revision is ready when its container listens on PORT; without that it fails after the start timeout.
//	                     Requests start an instance, an idle one stops, min_instance_count keeps one. SIGTERM, 10 s, SIGKILL
//
// # What is not
//
//	DeleteExecution      of a running one is FAILED_PRECONDITION here. What the service does was not confirmed; cancelling first
//	                     is right either way
//	isolation            containers are processes of this user: no own file system, network, memory limit or metadata server
//	tasks                an execution has one task, whatever task_count says
//	IAM                  nobody is asked who they are. A [Fault] with PERMISSION_DENIED shows what a refusal looks like. A
//	                     service without invoker_iam_disabled answers 403
//	traffic              the latest revision gets all, and requests that are under way when it comes are cut off; revisions and
//	                     tasks have no API of their own
//
// State is in memory and ends with the server, and so does every process that it started, however the server's own process
// ends (on Linux; elsewhere only by [Server.Close]).
package cloudrunfake
