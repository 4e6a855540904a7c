const socket = io('wss://api.qstore.io', {
  auth: {
    token: 'Bearer eyJhbGc...'
  }
});

// Subscribe to job updates
socket.emit('subscribe', {
  channel: 'job.progress',
  job_id: 'job_abc123'
});

// Receive updates
socket.on('job.progress', (data) => {
  console.log(data);
  /*
  {
    job_id: 'job_abc123',
    status: 'running',
    current_epoch: 67,
    total_epochs: 100,
    current_loss: 0.198,
    eta_seconds: 720,
    timestamp: '2025-12-19T10:30:00Z'
  }
  */
});

socket.emit('subscribe', {
  channel: 'job.metrics',
  job_id: 'job_abc123'
});

socket.on('job.metrics', (data) => {
  /*
  {
    job_id: 'job_abc123',
    epoch: 67,
    metrics: {
      loss: 0.198,
      accuracy: 0.91,
      val_loss: 0.215,
      val_accuracy: 0.89
    },
    timestamp: '2025-12-19T10:30:00Z'
  }
  */
});

socket.emit('subscribe', {
  channel: 'cost.updates'
});

socket.on('cost.update', (data) => {
  /*
  {
    current_spend: 1234.56,
    budget_limit: 5000.00,
    percentage_used: 24.69,
    timestamp: '2025-12-19T10:30:00Z'
  }
  */
});

socket.emit('subscribe', {
  channel: 'backend.status',
  backend_id: 'backend_ionq_001'
});

socket.on('backend.status', (data) => {
  /*
  {
    backend_id: 'backend_ionq_001',
    status: 'available',
    queue_depth: 42,
    avg_latency_ms: 5000,
    timestamp: '2025-12-19T10:30:00Z'
  }
  */
});
