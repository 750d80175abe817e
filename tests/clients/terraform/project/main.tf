# Everything of Lambda that the provider manages and that one account can hold, tied together the way people do.

terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

variable "name" {
  type = string
}

# Sources and destinations are there already: the provider watches a queue of its own for half a minute to believe in it.
variable "source_queue" {
  type = string
}

variable "source_stream" {
  type = string
}

variable "source_table" {
  type = string
}

variable "failed_queue" {
  type = string
}

# 1: as made. 2: every resource that takes an update is updated. 3: what can be left out is taken away again.
variable "stage" {
  type    = number
  default = 1
}

locals {
  second = var.stage == 2
  full   = var.stage < 3 ? [1] : []
}

provider "aws" {
  region                      = "us-east-1"
  s3_use_path_style           = true
  skip_credentials_validation = true
  default_tags {
    tags = { project = "terraform" }
  }
}

resource "aws_iam_role" "function" {
  name = "${var.name}-role"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "lambda.amazonaws.com" } }]
  })
}

resource "aws_s3_bucket" "code" {
  bucket        = var.name
  force_destroy = true
}

resource "aws_s3_object" "layer" {
  bucket = aws_s3_bucket.code.id
  key    = "layer.zip"
  source = "${path.module}/layer.zip"
  etag   = filemd5("${path.module}/layer.zip")
}

resource "aws_s3_object" "first" {
  bucket = aws_s3_bucket.code.id
  key    = "first.zip"
  source = "${path.module}/first.zip"
  etag   = filemd5("${path.module}/first.zip")
}

resource "aws_lambda_layer_version" "words" {
  layer_name               = "${var.name}-words"
  description              = "words to say"
  license_info             = "Apache-2.0"
  s3_bucket                = aws_s3_object.layer.bucket
  s3_key                   = aws_s3_object.layer.key
  source_code_hash         = filebase64sha256("${path.module}/layer.zip")
  compatible_runtimes      = ["python3.11", "python3.12"]
  compatible_architectures = ["x86_64", "arm64"]
}

resource "aws_lambda_layer_version_permission" "words" {
  layer_name     = aws_lambda_layer_version.words.layer_arn
  version_number = aws_lambda_layer_version.words.version
  statement_id   = "everyone-of-ours"
  action         = "lambda:GetLayerVersion"
  principal      = "111122223333"
}

resource "aws_lambda_code_signing_config" "ours" {
  description = local.second ? "enforced" : "watched"
  allowed_publishers {
    signing_profile_version_arns = ["arn:aws:signer:us-east-1:000000000000:/signing-profiles/ours/abcdefghij"]
  }
  policies {
    untrusted_artifact_on_deployment = "Warn"
  }
}

resource "aws_lambda_function" "main" {
  function_name           = var.name
  description             = local.second ? "second" : "first"
  role                    = aws_iam_role.function.arn
  runtime                 = "python3.11"
  handler                 = "app.handler"
  filename                = "${path.module}/${local.second ? "second" : "first"}.zip"
  source_code_hash        = filebase64sha256("${path.module}/${local.second ? "second" : "first"}.zip")
  layers                  = [for _ in local.full : aws_lambda_layer_version.words.arn]
  architectures           = ["x86_64"]
  memory_size             = local.second ? 256 : 192
  timeout                 = local.second ? 20 : 10
  publish                 = true
  code_signing_config_arn = var.stage < 3 ? aws_lambda_code_signing_config.ours.arn : null

  reserved_concurrent_executions = [5, 6, null][var.stage - 1]

  dynamic "environment" {
    for_each = local.full
    content {
      variables = { GREETING = local.second ? "good day" : "hello" }
    }
  }
  ephemeral_storage {
    size = var.stage < 3 ? 1024 : 512
  }
  dynamic "dead_letter_config" {
    for_each = local.full
    content {
      target_arn = var.failed_queue
    }
  }
  tracing_config {
    mode = local.second ? "PassThrough" : "Active"
  }
  logging_config {
    log_format            = "JSON"
    application_log_level = local.second ? "DEBUG" : "INFO"
    system_log_level      = "WARN"
    log_group             = "/functions/${var.name}"
  }
  tags = var.stage < 3 ? { stage = var.stage } : null
}

# A function that says as little as possible: what AWS answers for what was left out must not look like a change.
resource "aws_lambda_function" "bare" {
  function_name = "${var.name}-bare"
  role          = aws_iam_role.function.arn
  runtime       = "python3.12"
  handler       = "app.handler"
  s3_bucket     = aws_s3_object.first.bucket
  s3_key        = aws_s3_object.first.key
}

resource "aws_lambda_alias" "live" {
  name             = "live"
  description      = local.second ? "half of it" : null
  function_name    = aws_lambda_function.main.function_name
  function_version = "1"

  dynamic "routing_config" {
    for_each = local.second ? [1] : []
    content {
      additional_version_weights = { "2" = 0.5 }
    }
  }
}

resource "aws_lambda_alias" "steady" {
  name             = "steady"
  function_name    = aws_lambda_function.main.function_name
  function_version = "1"
}

resource "aws_lambda_function_url" "live" {
  function_name      = aws_lambda_function.main.function_name
  qualifier          = aws_lambda_alias.live.name
  authorization_type = local.second ? "AWS_IAM" : "NONE"
  invoke_mode        = local.second ? "RESPONSE_STREAM" : "BUFFERED"
  dynamic "cors" {
    for_each = local.full
    content {
      allow_credentials = true
      allow_origins     = ["https://example.org"]
      allow_methods     = ["GET", "POST"]
      allow_headers     = ["x-one"]
      expose_headers    = ["x-two"]
      max_age           = 60
    }
  }
}

resource "aws_lambda_permission" "bucket" {
  statement_id   = "from-the-bucket"
  action         = "lambda:InvokeFunction"
  function_name  = aws_lambda_function.main.function_name
  qualifier      = aws_lambda_alias.live.name
  principal      = "s3.amazonaws.com"
  source_arn     = aws_s3_bucket.code.arn
  source_account = "000000000000"
}

resource "aws_lambda_permission" "anyone" {
  function_name          = aws_lambda_function.bare.function_name
  action                 = "lambda:InvokeFunctionUrl"
  principal              = "*"
  function_url_auth_type = "NONE"
}

resource "aws_lambda_function_event_invoke_config" "main" {
  function_name                = aws_lambda_function.main.function_name
  maximum_event_age_in_seconds = local.second ? 120 : 60
  maximum_retry_attempts       = local.second ? 1 : 0
  dynamic "destination_config" {
    for_each = local.full
    content {
      on_failure {
        destination = var.failed_queue
      }
    }
  }
}

resource "aws_lambda_event_source_mapping" "queue" {
  function_name                      = aws_lambda_function.main.arn
  event_source_arn                   = var.source_queue
  batch_size                         = local.second ? 20 : 10
  maximum_batching_window_in_seconds = 5
  function_response_types            = var.stage < 3 ? ["ReportBatchItemFailures"] : []
  enabled                            = !local.second
  dynamic "filter_criteria" {
    for_each = local.full
    content {
      filter {
        pattern = jsonencode({ body = { kind = [local.second ? "b" : "a"] } })
      }
    }
  }
  dynamic "scaling_config" {
    for_each = local.full
    content {
      maximum_concurrency = 10
    }
  }
}

resource "aws_lambda_provisioned_concurrency_config" "steady" {
  function_name                     = aws_lambda_function.main.function_name
  qualifier                         = aws_lambda_alias.steady.name
  provisioned_concurrent_executions = local.second ? 2 : 1
}

resource "aws_lambda_runtime_management_config" "bare" {
  function_name     = aws_lambda_function.bare.function_name
  update_runtime_on = local.second ? "FunctionUpdate" : "Auto"
}

resource "aws_lambda_function_recursion_config" "bare" {
  function_name  = aws_lambda_function.bare.function_name
  recursive_loop = local.second ? "Terminate" : "Allow"
}

resource "aws_lambda_invocation" "main" {
  function_name = aws_lambda_function.main.function_name
  qualifier     = aws_lambda_alias.steady.name
  input         = jsonencode({ name = "terraform" })
  depends_on    = [aws_lambda_provisioned_concurrency_config.steady]
}

data "aws_lambda_function" "main" {
  function_name = aws_lambda_function.main.function_name
  qualifier     = aws_lambda_alias.live.name
}

data "aws_lambda_layer_version" "words" {
  layer_name         = aws_lambda_layer_version.words.layer_name
  compatible_runtime = "python3.12"
}

output "answer" {
  value = jsondecode(aws_lambda_invocation.main.result)
}

output "looked_up" {
  value = {
    version = data.aws_lambda_function.main.version
    layer   = data.aws_lambda_layer_version.words.version
  }
}
