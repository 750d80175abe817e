# What is held and not yet run: every kind of event source with its own settings, and functions whose engine is to come.

locals {
  account = "arn:aws:%s:us-east-1:000000000000:%s"
}

resource "aws_lambda_function" "private" {
  function_name = "${var.name}-private"
  role          = aws_iam_role.function.arn
  runtime       = "python3.12"
  handler       = "app.handler"
  s3_bucket     = aws_s3_object.first.bucket
  s3_key        = aws_s3_object.first.key
  kms_key_arn   = var.stage < 3 ? format(local.account, "kms", "key/0a1b2c3d-0000-4000-8000-000000000000") : null
  publish       = true

  # Without variables there is nothing for the key to encrypt, and AWS does not show it.
  environment {
    variables = { GREETING = "hello" }
  }
  dynamic "vpc_config" {
    for_each = local.full
    content {
      subnet_ids         = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
      security_group_ids = ["sg-0123456789abcdef0"]
    }
  }
  dynamic "file_system_config" {
    for_each = local.full
    content {
      arn              = format(local.account, "elasticfilesystem", "access-point/fsap-0123456789abcdef0")
      local_mount_path = "/mnt/data"
    }
  }
}

resource "aws_lambda_function" "snapped" {
  function_name = "${var.name}-snapped"
  role          = aws_iam_role.function.arn
  runtime       = "python3.12"
  handler       = "app.handler"
  s3_bucket     = aws_s3_object.first.bucket
  s3_key        = aws_s3_object.first.key
  publish       = true
  snap_start {
    apply_on = "PublishedVersions"
  }
}

resource "aws_lambda_function" "image" {
  function_name = "${var.name}-image"
  role          = aws_iam_role.function.arn
  package_type  = "Image"
  image_uri     = "000000000000.dkr.ecr.us-east-1.amazonaws.com/images:${local.second ? "two" : "one"}"
  architectures = ["arm64"]
  dynamic "image_config" {
    for_each = local.full
    content {
      command           = ["app.handler"]
      entry_point       = ["/lambda-entrypoint.sh"]
      working_directory = "/var/task"
    }
  }
}

resource "aws_lambda_event_source_mapping" "kinesis" {
  function_name                      = aws_lambda_function.bare.arn
  event_source_arn                   = var.source_stream
  starting_position                  = "AT_TIMESTAMP"
  starting_position_timestamp        = "2026-01-01T00:00:00Z"
  batch_size                         = local.second ? 200 : 100
  maximum_batching_window_in_seconds = 10
  parallelization_factor             = 4
  maximum_record_age_in_seconds      = local.second ? 3600 : 60
  maximum_retry_attempts             = 3
  bisect_batch_on_function_error     = true
  tumbling_window_in_seconds         = 30
  function_response_types            = var.stage < 3 ? ["ReportBatchItemFailures"] : []
  dynamic "destination_config" {
    for_each = local.full
    content {
      on_failure {
        destination_arn = var.failed_queue
      }
    }
  }
}

# As little as possible of a stream: what AWS fills in must not look like a change.
resource "aws_lambda_event_source_mapping" "dynamodb" {
  function_name     = aws_lambda_function.bare.function_name
  event_source_arn  = var.source_table
  starting_position = "LATEST"
}

resource "aws_lambda_event_source_mapping" "kafka" {
  function_name     = aws_lambda_function.bare.arn
  event_source_arn  = format(local.account, "kafka", "cluster/words/0a1b2c3d-0000-4000-8000-000000000000-1")
  topics            = ["words"]
  starting_position = "TRIM_HORIZON"
  amazon_managed_kafka_event_source_config {
    consumer_group_id = "readers"
  }
  source_access_configuration {
    type = "SASL_SCRAM_512_AUTH"
    uri  = format(local.account, "secretsmanager", "secret:kafka")
  }
}

resource "aws_lambda_event_source_mapping" "self_managed_kafka" {
  function_name     = aws_lambda_function.bare.arn
  topics            = ["words"]
  starting_position = "LATEST"
  self_managed_event_source {
    endpoints = { KAFKA_BOOTSTRAP_SERVERS = "kafka1.example.org:9092,kafka2.example.org:9092" }
  }
  self_managed_kafka_event_source_config {
    consumer_group_id = "readers"
  }
  source_access_configuration {
    type = "VPC_SUBNET"
    uri  = "subnet:subnet-0123456789abcdef0"
  }
  source_access_configuration {
    type = "VPC_SECURITY_GROUP"
    uri  = "security_group:sg-0123456789abcdef0"
  }
}

resource "aws_lambda_event_source_mapping" "rabbit" {
  function_name    = aws_lambda_function.bare.arn
  event_source_arn = format(local.account, "mq", "broker:words:b-0a1b2c3d-0000-4000-8000-000000000000")
  queues           = ["words"]
  batch_size       = local.second ? 2 : 1
  source_access_configuration {
    type = "VIRTUAL_HOST"
    uri  = "/words"
  }
  source_access_configuration {
    type = "BASIC_AUTH"
    uri  = format(local.account, "secretsmanager", "secret:rabbit")
  }
}

resource "aws_lambda_event_source_mapping" "documents" {
  function_name     = aws_lambda_function.bare.arn
  event_source_arn  = format(local.account, "rds", "cluster:words")
  starting_position = "LATEST"
  document_db_event_source_config {
    database_name   = "words"
    collection_name = "said"
    full_document   = "UpdateLookup"
  }
  source_access_configuration {
    type = "BASIC_AUTH"
    uri  = format(local.account, "secretsmanager", "secret:documents")
  }
}
