package catalog_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/makerguard/makerguard/catalog"
)

func rx(sphere, cylinder, axis float64) catalog.Rx {
	return catalog.Rx{Sphere: &sphere, Cylinder: &cylinder, Axis: &axis}
}

func TestRx_PlusAndMinusCylinderAreOneLens(t *testing.T) {
	minus, plus := rx(2, -1, 180), rx(1, 1, 90)
	if diff := cmp.Diff(minus, plus.Transposed()); diff != "" {
		t.Errorf("+1.00 +1.00×90 transposed: -want +got\n%s", diff)
	}
	if diff := cmp.Diff(minus, plus.Normal()); diff != "" {
		t.Errorf("+1.00 +1.00×90 in normal form: -want +got\n%s", diff)
	}
	if minus.MeanSphere() != 1.5 || plus.MeanSphere() != 1.5 {
		t.Errorf("mean spheres are %v and %v, want 1.5", minus.MeanSphere(), plus.MeanSphere())
	}
	if diff := cmp.Diff(rx(2, -1, 180), rx(2, -1, 0).Normal()); diff != "" {
		t.Errorf("axis 0: -want +got\n%s", diff)
	}
	if diff := cmp.Diff(catalog.Rx{Sphere: new(2.0)}, rx(2, 0, 90).Normal()); diff != "" {
		t.Errorf("no cylinder: -want +got\n%s", diff)
	}
	if m := (catalog.Rx{}).MeanSphere(); m != 0 {
		t.Errorf("mean sphere of nothing = %v, want 0", m)
	}
}

func TestRx_TranspositionKeepsTheLensAndComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rx(
			float64(rapid.IntRange(-80, 80).Draw(t, "sphere quarters"))/4,
			float64(rapid.IntRange(-40, 40).Draw(t, "cylinder quarters"))/4,
			float64(rapid.IntRange(1, 180).Draw(t, "axis")),
		)
		if diff := cmp.Diff(x, x.Transposed().Transposed()); diff != "" {
			t.Errorf("transposed twice: -want +got\n%s", diff)
		}
		if x.Transposed().MeanSphere() != x.MeanSphere() {
			t.Error("transposed, the mean sphere is another")
		}
		normal := x.Normal()
		if diff := cmp.Diff(normal, x.Transposed().Normal()); diff != "" {
			t.Errorf("the two forms have two normal forms: -want +got\n%s", diff)
		}
		if normal.Cylinder != nil && *normal.Cylinder > 0 {
			t.Errorf("normal form has cylinder %v", *normal.Cylinder)
		}
		if r := catalog.ValidateProduct(catalog.Product{Rx: &normal}, today); len(r.Errors)+len(r.Warnings) > 0 {
			t.Errorf("the normal form %+v is not valid: %+v", normal, r)
		}
	})
}
