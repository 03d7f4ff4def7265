package mongo

import (
	"reflect"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// validatorOf gives the JSON schema of a document type: which fields there must be, and of
// what type each is. Fields that it does not know are allowed, so that nodes of the next
// version can run beside this one's.
func validatorOf(doc any) bson.D {
	return bson.D{{Key: "$jsonSchema", Value: schemaOf(reflect.TypeOf(doc))}}
}

func schemaOf(t reflect.Type) bson.D {
	is := func(names ...string) bson.D {
		if len(names) == 1 {
			return bson.D{{Key: "bsonType", Value: names[0]}}
		}
		list := make(bson.A, len(names))
		for i, n := range names {
			list[i] = n
		}
		return bson.D{{Key: "bsonType", Value: list}}
	}
	if t == reflect.TypeFor[time.Time]() {
		return is("date")
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem())
	case reflect.String:
		return is("string")
	case reflect.Bool:
		return is("bool")
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint32:
		return is("int", "long")
	case reflect.Float64:
		return is("double", "int", "long")
	case reflect.Map:
		return is("object")
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return is("binData")
		}
		return append(is("array"), bson.E{Key: "items", Value: schemaOf(t.Elem())})
	case reflect.Struct:
		return append(is("object"), fieldsOf(t)...)
	default:
		panic("mongo: a document cannot hold a " + t.String()) // a mistake in this package, found by any test
	}
}

// fieldsOf gives the part of a schema that is about a struct's fields.
func fieldsOf(t reflect.Type) bson.D {
	var required bson.A
	var properties bson.D
	for i := range t.NumField() {
		name, options, _ := strings.Cut(t.Field(i).Tag.Get("bson"), ",")
		properties = append(properties, bson.E{Key: name, Value: schemaOf(t.Field(i).Type)})
		if !strings.Contains(options, "omitempty") {
			required = append(required, name)
		}
	}
	fields := bson.D{{Key: "properties", Value: properties}}
	if required != nil {
		fields = append(fields, bson.E{Key: "required", Value: required})
	}
	return fields
}
