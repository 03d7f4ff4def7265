package makerguard

// Permission is one thing a member may do.
type Permission string

// The built-in permissions of manufacturers.
const (
	UploadProducts         Permission = "upload_products"
	ManageProducts         Permission = "manage_products"
	ViewBasicAnalytics     Permission = "view_basic_analytics"
	ManageProfile          Permission = "manage_profile"
	ManageMembers          Permission = "manage_members"
	UseEncryption          Permission = "use_encryption"
	ViewSecurity           Permission = "view_security"
	BulkUploadProducts     Permission = "bulk_upload_products"
	ViewAdvancedAnalytics  Permission = "view_advanced_analytics"
	AccessMLTools          Permission = "access_ml_tools"
	ExportData             Permission = "export_data"
	ManageAPIKeys          Permission = "manage_api_keys"
	UseVault               Permission = "use_vault"
	ViewAudit              Permission = "view_audit"
	UsePredictiveAnalytics Permission = "use_predictive_analytics"
	UseVirtualTryOn        Permission = "use_virtual_try_on"
	ManageWebhooks         Permission = "manage_webhooks"
	ManageEncryptionKeys   Permission = "manage_encryption_keys"
	IntrospectTokens       Permission = "introspect_tokens"
)

// The permissions of operators. Only members of the platform tenant can have them.
const (
	OperateManufacturers Permission = "operate_manufacturers"
	OperateKeys          Permission = "operate_keys"
	OperatePolicy        Permission = "operate_policy"
	ViewMetrics          Permission = "view_metrics"
)

// Meter counts a use that a tier limits per month.
type Meter string

// The built-in meters.
const (
	ProductUploads Meter = "product_uploads"
	MLRequests     Meter = "ml_requests"
	APICalls       Meter = "api_calls"
	DataExports    Meter = "data_exports"
)

// Meters lists the built-in meters in the order they are shown.
func Meters() []Meter { return []Meter{ProductUploads, MLRequests, APICalls, DataExports} }
