module pilotlight.test/terraform
go 1.24
require github.com/upbound/terraform-provider-aws v0.0.0-20241030110634-947d82e10dea
